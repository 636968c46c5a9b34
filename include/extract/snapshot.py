"""Extraction: every source table is read in one repeatable-read snapshot and appended to lake/raw, the landing zone."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial

import duckdb
import pyarrow as pa

from include.contract import Source
from include.extract import drift, statements
from include.extract.checksums import BUCKETS, bucket_sql, shop_sums, whole_shop_sums
from include.extract.completeness import Comparison, Scope, ShopSums, compare, find_late_and_deleted, new_keys_sql
from include.extract.range_sums import RangeSums
from include.extract.ranges import Order, in_order
from include.extract.readers import readers
from include.extract.replica import before_snapshot, replayed_until
from include.extract.source_rows import Divided, SourceRows, counted, naming_source
from include.extract.sql_files import EVERYTHING, read_sql, takes_changes
from include.extract.work import shop_row
from include.lake import orphans, writes
from include.lake import tables as lake
from include.lake.night_views import has_key, open_night
from include.ledger.drift import Change
from include.settings import settings

_log = logging.getLogger(__name__)

_MOST_HEALED = BUCKETS // 8  # differing buckets; above that, reading everything is cheaper than finding the rows


@dataclass(frozen=True)
class Read:
    """The counts of one source in one snapshot.

    Attributes:
        changed_since: the window that was read: the requested one, or ``EVERYTHING``.
        extracted: rows read.
        source_rows: rows in the shop.
        late: rows that only the proof found: committed or changed with a time before the window.
        gone: deleted keys that only the proof found: the copy has them, the shop no longer does.
        known: rows in the copy before.
        replaced: known rows whose key was read again.
        deleted: known rows that the shop no longer has.
        proof: how much of the copy was compared with the shop, by checksums.
        seconds: what reading and comparing took.
    """

    changed_since: str
    extracted: int
    source_rows: int
    late: int
    gone: int
    known: int
    replaced: int
    deleted: int
    proof: Scope
    seconds: float = 0.0


@dataclass(frozen=True)
class Extraction:
    """The result of one snapshot.

    Attributes:
        snapshot_at: the shop's clock at the snapshot; of a replica, the instant that its rows are of.
        changed_until: the new watermark. It lies before the start of every transaction that was open in the shop then:
            rows that such a transaction commits later carry the time of its start.
        sources: the counts of each source.
        news: changes of the shop's schema that do not stop the night.
        lag_seconds: how far behind its primary a replica was; None for a primary.
    """

    snapshot_at: datetime
    changed_until: datetime
    sources: Mapping[str, Read]
    news: Sequence[Change] = ()
    lag_seconds: float | None = None


def extract(
    sources: Mapping[str, Source],
    changed_since: Mapping[str, str],
    run: str,
    proofs: Mapping[str, Scope] | None = None,
    schema: drift.Schema | None = None,
    whole_day: date | None = None,
) -> Extraction:
    """Read the changed rows of every source into lake/raw, in one snapshot, and prove the copy complete.

    With several ``shop_connections`` sources are read side by side, and the ranges of large ones; what is read, and the
    proof, is the same.

    Where copy and shop differ, the rows are read again, and deleted keys go to lake/gone as tombstones. A second
    attempt of a run replaces the rows of the first.

    Args:
        sources: the shop's sources, by name.
        changed_since: per source an ISO instant, or ``EVERYTHING``. A source whose statement has no
            ``:changed_since`` is read whole whatever is asked.
        run: the run that these rows belong to.
        proofs: per source, how much of the copy is compared; by default all of it.
        schema: the expected schema of the shop; by default any schema is accepted.
        whole_day: the last business day that the rows must cover, where the shop is a replica.

    Raises:
        ReplicaBehind: when the shop is a replica that has not all rows of the day; nothing is written then.
        Incomplete: when copy and shop still differ after reading again.
        SchemaDrift: when the shop's schema is not the expected one; nothing is written then.
        StatementsRefused: when a statement does not give what its contract says; nothing is written then.
        OSError: when the shop cannot be reached (ConnectionError), or the connection is lost.
        duckdb.Error: when Postgres refuses to read; the message names the source and its file.
    """
    since = {name: changed_since[name] if takes_changes(sources[name]) else EVERYTHING for name in sources}
    with readers(settings().shop_connections, before_snapshot) as shop:
        snapshot_at, changed_until, any_bytes, is_replica = shop_row(shop.first, _CLOCK)
        lag = None
        if is_replica:
            snapshot_at, lag = replayed_until(shop.first, whole_day, shop.as_of)
            changed_until = snapshot_at
            _log.info("the shop is a replica, %.1f s behind: its rows are of %s", lag, snapshot_at)
        news = drift.check(shop.first, schema or {})
        readings = statements.check(sources)
        order = Order(list(sources))
        if shop.connections > 1:
            whole = [name for name in sources if since[name] == EVERYTHING]
            order = in_order(sources.values(), whole, shop.connections)

        def read(connection: duckdb.DuckDBPyConnection, name: str) -> Read:
            source = sources[name]
            with naming_source(name):
                scope = (proofs or {}).get(name, Scope.WHOLE)
                divided = partial(shop.divided, connection, name) if name in order.ranges else None
                rows = SourceRows(source, run, snapshot_at, readings[name], any_bytes)
                started = time.monotonic()
                counts = _Reading(connection, rows, divided).read(since[name], scope)
                return replace(counts, seconds=time.monotonic() - started)

        found = shop.read(order.names, read, order.ranges)
    return Extraction(snapshot_at, changed_until, {name: found[name] for name in sources}, news, lag)


# A role that may not see other sessions gets null for their start; then only the proof finds the rows they commit. And
# whether the database's texts may hold any bytes; and whether it is a replica, which sees no transaction of its
# primary: the overlap covers those that are open.
_CLOCK = """
select
    now(),
    least(now(), (
        select min(xact_start) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
    )),
    current_setting('server_encoding') = 'SQL_ASCII',
    pg_is_in_recovery()
"""


@dataclass(frozen=True)
class _Reading:
    """Reads one source, in the snapshot of a session."""

    connection: duckdb.DuckDBPyConnection
    rows: SourceRows
    divided: Divided | None = None  # by several connections, where it is read in ranges
    sums: RangeSums = field(default_factory=RangeSums)

    @property
    def source(self) -> Source:
        """What is read."""
        return self.rows.source

    @property
    def run(self) -> str:
        """The run that it is read for."""
        return self.rows.run

    def read(self, changed_since: str, scope: Scope) -> Read:
        """Read the window, compare the copy, and read again where it differs."""
        name, full = self.source.name, changed_since == EVERYTHING
        for layer in ("raw", "gone"):
            orphans.clear_run(layer, name, self.run)
        writes.forget_run("gone", name, self.run)
        if self.divided:
            sums = self.sums if scope is Scope.WHOLE else None
            extracted = self._write(self.rows.in_ranges(self.connection, self.divided, sums))
        else:
            extracted = self._write(self.rows.of(self.connection, self.rows.typed(changed_since)))
        self._open_views(full=full)
        shop = self._shop_sums(scope, ignore_cache=full)
        compared = self._compare(shop, full=full)
        if scope is not Scope.WHOLE and compared.rows_differ:
            scope, shop = Scope.WHOLE, self._shop_sums(Scope.WHOLE, ignore_cache=full)
            compared = self._compare(shop, full=full)
        late = gone = 0
        if len(compared.differing) > _MOST_HEALED and not full:
            changed_since, full = EVERYTHING, True
            extracted = self._write(self.rows.of(self.connection, self.rows.typed(EVERYTHING)))
        elif compared.differing and not full:
            late, gone = self._heal(compared.differing)
        if compared.differing:  # otherwise nothing was read since the views were made
            self._open_views(full=full)
            self._compare(shop, full=full).must_hold()
        shop.keep(self.run, name)
        known, replaced, deleted = self._counts_before()
        return Read(changed_since, extracted + late, shop.rows, late, gone, known, replaced, deleted, scope)

    def _counts_before(self) -> tuple[int, int, int]:
        """Counts of the copy as it was before the run: all rows, rows read again, rows deleted."""
        name = self.source.name
        found = self.connection.execute(
            f"""
            select
                count(*),
                count(*) filter ({has_key(self.source, "row", f"raw_{name}")}),
                (select count(*) from deleted_{name})
            from known_{name} as row
            """
        ).fetchone() or (0, 0, 0)
        return int(found[0]), int(found[1]), int(found[2])

    def _compare(self, shop: ShopSums, *, full: bool) -> Comparison:
        return compare(self.connection, self.source, shop, self.run, full=full)

    def _open_views(self, *, full: bool) -> None:
        open_night(self.connection, {self.source.name: self.source}, self.run, {self.source.name: full})

    def _shop_sums(self, scope: Scope, *, ignore_cache: bool) -> ShopSums:
        """The shop's sums, of all keys or only of new ones."""
        connection, source = self.connection, self.source
        everything, typed = read_sql(source, EVERYTHING, self.rows.reading), self.rows.typed(EVERYTHING)
        if scope is Scope.WHOLE:
            buckets = whole_shop_sums(
                connection,
                source,
                everything,
                typed,
                ignore_cache=ignore_cache,
                any_bytes=self.rows.any_bytes,
                fractional=self.rows.reading.fractional,
                added=self.sums.all,
            )
            return ShopSums(sum(rows for rows, _ in buckets.values()), "true", buckets)
        where = new_keys_sql(connection, source)
        rows = shop_row(connection, f"select count(*) as rows from ({everything}) as source")[0]
        return ShopSums(rows, where, shop_sums(connection, source, f"select * from ({typed}) as whole where {where}"))

    def _heal(self, buckets: Sequence[str]) -> tuple[int, int]:
        """Read the rows of some buckets again; returns the number of late rows and of deleted keys."""
        connection, source, name = self.connection, self.source, self.source.name
        some = ", ".join(f"'{bucket}'" for bucket in buckets)
        again = f"select * from ({self.rows.typed(EVERYTHING)}) as whole where {bucket_sql(source)} in ({some})"
        connection.execute(
            f"create or replace temp table again_{name} as select * from postgres_query('shop', ?)", [again]
        )
        late, deleted = find_late_and_deleted(connection, source, buckets)
        counts = [connection.execute(f"select count(*) from {rows}").fetchone() or (0,) for rows in (late, deleted)]
        if counts[0][0]:
            writes.append_run("raw", name, self.rows.stamped(connection, f"select * from {late}"))
        if counts[1][0]:
            marked = connection.execute(f"select *, ? as {lake.RUN} from {deleted}", [self.run])
            writes.replace_run("gone", name, self.run, marked.to_arrow_reader(100_000))
        return int(counts[0][0]), int(counts[1][0])

    def _write(self, rows: pa.RecordBatchReader) -> int:
        """Write rows to lake/raw, replacing those of an earlier attempt of the run."""
        counts: list[int] = []
        writes.replace_run("raw", self.source.name, self.run, counted(rows, counts))
        return sum(counts)
