"""Extraction: every source table is read in one repeatable-read snapshot and appended to lake/raw, the landing zone."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime

import duckdb
import pyarrow as pa

from include.contract import Source
from include.extract import drift, statements
from include.extract.checksums import BUCKETS, bucket_sql, shop_sums, whole_shop_sums
from include.extract.completeness import Comparison, Scope, ShopSums, compare, find_late_and_deleted, new_keys_sql
from include.extract.readers import largest_first, readers, shop_row
from include.extract.reading import AS_GIVEN, Reading
from include.extract.refusals import value_refused
from include.extract.replica import replayed_until
from include.extract.sql_files import EVERYTHING, file_of, read_sql, shown, takes_changes, typed_sql
from include.lake import duckdb_session as duck
from include.lake import orphans, writes
from include.lake import tables as lake
from include.lake.night_views import has_key, open_night
from include.lake.rows import with_decimals
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

    With several ``shop_connections`` sources are read side by side; what is read, and the proof, is the same.

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
    with readers(min(settings().shop_connections, len(sources))) as shop:
        snapshot_at, changed_until, any_bytes, is_replica = shop_row(shop.first, _CLOCK)
        lag = None
        if is_replica:
            snapshot_at, lag = replayed_until(shop.first, whole_day)
            changed_until = snapshot_at
            _log.info("the shop is a replica, %.1f s behind: its rows are of %s", lag, snapshot_at)
        news = drift.check(shop.first, schema or {})
        readings = statements.check(sources)

        def read(connection: duckdb.DuckDBPyConnection, name: str) -> Read:
            source = sources[name]
            with _naming_source(name):
                scope = (proofs or {}).get(name, Scope.WHOLE)
                since = changed_since[name] if takes_changes(source) else EVERYTHING
                reading = _Reading(connection, source, run, snapshot_at, readings[name], any_bytes=any_bytes)
                started = time.monotonic()
                counts = reading.read(since, scope)
                return replace(counts, seconds=time.monotonic() - started)

        found = shop.read(list(sources) if shop.connections == 1 else largest_first(sources.values()), read)
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
    source: Source
    run: str
    snapshot_at: datetime
    reading: Reading = AS_GIVEN
    any_bytes: bool = False

    def read(self, changed_since: str, scope: Scope) -> Read:
        """Read the window, compare the copy, and read again where it differs."""
        name, full = self.source.name, changed_since == EVERYTHING
        for layer in ("raw", "gone"):
            orphans.clear_run(layer, name, self.run)
        writes.forget_run("gone", name, self.run)
        extracted = self._write(self._typed(changed_since))
        self._open_views(full=full)
        shop = self._shop_sums(scope, ignore_cache=full)
        compared = self._compare(shop, full=full)
        if scope is not Scope.WHOLE and compared.rows_differ:
            scope, shop = Scope.WHOLE, self._shop_sums(Scope.WHOLE, ignore_cache=full)
            compared = self._compare(shop, full=full)
        late = gone = 0
        if len(compared.differing) > _MOST_HEALED and not full:
            changed_since, full = EVERYTHING, True
            extracted = self._write(self._typed(EVERYTHING))
        elif compared.differing and not full:
            late, gone = self._heal(compared.differing)
        if compared.differing:  # otherwise nothing was read since the views were made
            self._open_views(full=full)
            self._compare(shop, full=full).must_hold()
        shop.keep(self.run, name)
        known, replaced, deleted = self._counts_before()
        return Read(changed_since, extracted + late, shop.rows, late, gone, known, replaced, deleted, scope)

    def _typed(self, changed_since: str) -> str:
        return typed_sql(self.source, changed_since, any_bytes=self.any_bytes, reading=self.reading)

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
        everything, typed = read_sql(source, EVERYTHING, self.reading), self._typed(EVERYTHING)
        if scope is Scope.WHOLE:
            buckets = whole_shop_sums(
                connection,
                source,
                everything,
                typed,
                ignore_cache=ignore_cache,
                any_bytes=self.any_bytes,
                fractional=self.reading.fractional,
            )
            return ShopSums(sum(rows for rows, _ in buckets.values()), "true", buckets)
        where = new_keys_sql(connection, source)
        rows = shop_row(connection, f"select count(*) as rows from ({everything}) as source")[0]
        return ShopSums(rows, where, shop_sums(connection, source, f"select * from ({typed}) as whole where {where}"))

    def _heal(self, buckets: Sequence[str]) -> tuple[int, int]:
        """Read the rows of some buckets again; returns the number of late rows and of deleted keys."""
        connection, source, name = self.connection, self.source, self.source.name
        some = ", ".join(f"'{bucket}'" for bucket in buckets)
        again = f"select * from ({self._typed(EVERYTHING)}) as whole where {bucket_sql(source)} in ({some})"
        connection.execute(
            f"create or replace temp table again_{name} as select * from postgres_query('shop', ?)", [again]
        )
        late, deleted = find_late_and_deleted(connection, source, buckets)
        counts = [connection.execute(f"select count(*) from {rows}").fetchone() or (0,) for rows in (late, deleted)]
        if counts[0][0]:
            writes.append_run("raw", name, self._stamped(f"select * from {late}", []))
        if counts[1][0]:
            marked = connection.execute(f"select *, ? as {lake.RUN} from {deleted}", [self.run])
            writes.replace_run("gone", name, self.run, marked.to_arrow_reader(100_000))
        return int(counts[0][0]), int(counts[1][0])

    def _write(self, statement: str) -> int:
        """Write the rows of a statement to lake/raw, replacing those of an earlier attempt of the run."""
        counts: list[int] = []
        rows = self._stamped("select * from postgres_query('shop', ?)", [statement])
        writes.replace_run("raw", self.source.name, self.run, _counted(rows, counts))
        return sum(counts)

    def _stamped(self, rows: str, parameters: list[str]) -> pa.RecordBatchReader:
        statement = f"select *, cast(? as timestamptz) as _snapshot_at, ? as {lake.RUN} from ({rows})"
        made = self.connection.execute(statement, [self.snapshot_at, self.run, *parameters])
        return with_decimals(made.to_arrow_reader(100_000), self.source.columns)


@contextmanager
def _naming_source(source: str) -> Iterator[None]:
    """Add the source and its file to an error, and leave out the statement that was made of the file.

    Raises:
        StatementsRefused: where a value cannot be cast: DuckDB has the same error for a server that went away.
    """
    try:
        with duck.guarded():
            yield
    except (duckdb.Error, ConnectionError) as error:
        said = duck.reason(error)
        if finding := value_refused(source, said):
            statements.refuse([finding])
        raise type(error)(f"source {source} ({shown(file_of(source))}): {said}") from None


def _counted(reader: pa.RecordBatchReader, counts: list[int]) -> pa.RecordBatchReader:
    """The same rows; the size of each batch is appended to ``counts`` as it passes."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            counts.append(batch.num_rows)
            yield batch

    return pa.RecordBatchReader.from_batches(reader.schema, batches())
