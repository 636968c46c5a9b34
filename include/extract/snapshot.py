"""Extraction: one repeatable-read snapshot of every source table, appended to lake/raw as it was read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
from psycopg import sql

from include.contract import Source
from include.extract import drift
from include.extract.checksums import BUCKETS, bucket_sql, shop_sums, whole_shop_sums
from include.extract.completeness import Comparison, Scope, ShopSums, compare, find_late_and_deleted, new_keys_sql
from include.lake import duckdb_session as duck
from include.lake import orphans
from include.lake import tables as lake
from include.lake.night_views import has_key, open_night
from include.ledger.drift import Change
from include.settings import settings

_WINDOW = re.compile(r"(?<!:):changed_since\b")  # not the type of a cast

EVERYTHING = "-infinity"  # changed since ever: the window of a full read
_MOST_HEALED = BUCKETS // 8  # buckets that differ; beyond that, reading everything is cheaper than looking for the rows


@dataclass(frozen=True)
class Read:
    """What one snapshot gave of one source.

    Attributes:
        changed_since: the window that was read: the one asked for, or ``EVERYTHING``.
        extracted: rows read.
        source_rows: rows that the shop held in that snapshot.
        late: of those read, the ones that only the proof found: committed, or changed, with a time before the window.
        gone: keys of the copy that only the proof found to be gone.
        known: rows that the copy held before.
        replaced: of those, the ones whose key was read.
        deleted: of those, the ones that the shop no longer has.
        proof: how much of the copy was compared with the shop, by checksums.
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


@dataclass(frozen=True)
class Extraction:
    """What one snapshot gave.

    Attributes:
        snapshot_at: the source's clock when the snapshot was taken.
        changed_until: the new watermark: before every transaction that was open in the source then, for what it
            commits later carries its own time.
        sources: what was read of each source.
        news: what is new in the shop's schema and stops nothing.
    """

    snapshot_at: datetime
    changed_until: datetime
    sources: Mapping[str, Read]
    news: Sequence[Change] = ()


def extract(
    sources: Mapping[str, Source],
    changed_since: Mapping[str, str],
    run: str,
    proofs: Mapping[str, Scope] | None = None,
    schema: drift.Schema | None = None,
) -> Extraction:
    """Read the rows of every source that changed, all in one snapshot, into lake/raw, and prove the copy complete.

    Where copy and shop differ, those rows are read again, and keys that the shop no longer has go to lake/gone. Reading
    the same run again replaces its rows.

    Args:
        sources: the shop's sources, by name.
        changed_since: per source an ISO instant, or ``EVERYTHING``.
        run: the run these rows belong to.
        proofs: per source, how much of the copy is compared; all of it where nothing is said.
        schema: what the shop's tables are expected to be; whatever they are, where nothing is said.

    Raises:
        Incomplete: when copy and shop differ and reading again does not help.
        SchemaDrift: when its tables are not what is expected; nothing is written then.
        OSError: when the shop cannot be reached (ConnectionError), or goes away while it is read.
        duckdb.Error: when Postgres refuses a shop's SQL; the message names the source.
    """
    read: dict[str, Read] = {}
    with duck.session() as connection:
        duck.attach(connection, "shop", settings().shop_url, read_only=True)
        with _snapshot(connection):
            snapshot_at, changed_until = _row(connection, _CLOCK)
            news = drift.check(connection, schema or {})
            for name, source in sources.items():
                with _named(name):
                    scope = (proofs or {}).get(name, Scope.WHOLE)
                    read[name] = _Reading(connection, source, run, snapshot_at).read(changed_since[name], scope)
    return Extraction(snapshot_at, changed_until, read, news)


# A role that may not see the transactions of others sees no start of them; then the proof alone finds what they commit.
_CLOCK = """
select now(), least(now(), (
    select min(xact_start) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
))
"""


@dataclass(frozen=True)
class _Reading:
    """One source being read in the snapshot of a session."""

    connection: duckdb.DuckDBPyConnection
    source: Source
    run: str
    snapshot_at: datetime

    def read(self, changed_since: str, scope: Scope) -> Read:
        """Read the window, compare the copy, and read again where it differs."""
        name, full = self.source.name, changed_since == EVERYTHING
        for layer in ("raw", "gone"):
            orphans.clear_run(layer, name, self.run)
        lake.forget_run("gone", name, self.run)
        extracted = self._write(typed_sql(self.source, changed_since))
        self._open(full=full)
        shop = self._shop(scope, anew=full)
        compared = self._compare(shop, full=full)
        if scope is not Scope.WHOLE and compared.rows_differ:
            scope, shop = Scope.WHOLE, self._shop(Scope.WHOLE, anew=full)
            compared = self._compare(shop, full=full)
        late = gone = 0
        if len(compared.differing) > _MOST_HEALED and not full:
            changed_since, full = EVERYTHING, True
            extracted = self._write(typed_sql(self.source, EVERYTHING))
        elif compared.differing and not full:
            late, gone = self._heal(compared.differing)
        self._open(full=full)
        if compared.differing:
            self._compare(shop, full=full).must_hold()
        shop.keep(self.run, name)
        known, replaced, deleted = self._before(full=full)
        return Read(changed_since, extracted + late, shop.rows, late, gone, known, replaced, deleted, scope)

    def _before(self, *, full: bool) -> tuple[int, int, int]:
        """The rows of the copy as it was: all, those that were read anew, and those that are gone."""
        read = has_key(self.source, "row", f"raw_{self.source.name}")
        gone = "true" if full else has_key(self.source, "row", f"gone_{self.source.name}")
        found = self.connection.execute(
            f"select count(*), count(*) filter ({read}), count(*) filter (not {read} and {gone})"
            f" from known_{self.source.name} as row"
        ).fetchone() or (0, 0, 0)
        return int(found[0]), int(found[1]), int(found[2])

    def _compare(self, shop: ShopSums, *, full: bool) -> Comparison:
        return compare(self.connection, self.source, shop, self.run, full=full)

    def _open(self, *, full: bool) -> None:
        open_night(self.connection, {self.source.name: self.source}, self.run, {self.source.name: full})

    def _shop(self, scope: Scope, *, anew: bool) -> ShopSums:
        """What the shop's own rows add up to, of all keys or of those that are new."""
        connection, source = self.connection, self.source
        everything, typed = shop_sql(source, EVERYTHING), typed_sql(source, EVERYTHING)
        if scope is Scope.WHOLE:
            buckets = whole_shop_sums(connection, source, everything, typed, anew=anew)
            return ShopSums(sum(rows for rows, _ in buckets.values()), "true", buckets)
        where = new_keys_sql(connection, source)
        rows = _row(connection, f"select count(*) as rows from ({everything}) as source")[0]
        return ShopSums(rows, where, shop_sums(connection, source, f"select * from ({typed}) as whole where {where}"))

    def _heal(self, buckets: Sequence[str]) -> tuple[int, int]:
        """Read the rows of some buckets again; how many of them were late, and how many of the copy's are gone."""
        connection, source, name = self.connection, self.source, self.source.name
        some = ", ".join(f"'{bucket}'" for bucket in buckets)
        again = f"select * from ({typed_sql(source, EVERYTHING)}) as whole where {bucket_sql(source)} in ({some})"
        connection.execute(
            f"create or replace temp table again_{name} as select * from postgres_query('shop', ?)", [again]
        )
        late, deleted = find_late_and_deleted(connection, source, buckets)
        counts = [connection.execute(f"select count(*) from {rows}").fetchone() or (0,) for rows in (late, deleted)]
        if counts[0][0]:
            lake.append_run("raw", name, self._stamped(f"select * from {late}", []))
        if counts[1][0]:
            marked = connection.execute(f"select *, ? as {lake.RUN} from {deleted}", [self.run])
            lake.replace_run("gone", name, self.run, marked.to_arrow_reader(100_000))
        return int(counts[0][0]), int(counts[1][0])

    def _write(self, statement: str) -> int:
        """Write what a statement of the shop gives to lake/raw, in place of what the run wrote before."""
        counts: list[int] = []
        rows = self._stamped("select * from postgres_query('shop', ?)", [statement])
        lake.replace_run("raw", self.source.name, self.run, _counted(rows, counts))
        return sum(counts)

    def _stamped(self, rows: str, parameters: list[str]) -> pa.RecordBatchReader:
        statement = f"select *, cast(? as timestamptz) as _snapshot_at, ? as {lake.RUN} from ({rows})"
        return self.connection.execute(statement, [self.snapshot_at, self.run, *parameters]).to_arrow_reader(100_000)


def shop_sql(source: Source, changed_since: str) -> str:
    """The shop's own statement for a source, its window bound in."""
    statement = (settings().sources / f"{source.name}.sql").read_text().strip().rstrip(";")
    # COPY, which DuckDB reads through, takes no parameters: the value is bound on this side, as a quoted literal.
    return _WINDOW.sub(_instant(changed_since), statement) + "\n"  # it may end in a comment


def _instant(text: str) -> str:
    return f"{sql.Literal(text).as_string(None)}::timestamptz"


def typed_sql(source: Source, changed_since: str) -> str:
    """The Postgres statement that gives a source in the lake's types.

    Rows that share their key with a changed row are read along: were there two, the gate must see both. A value that
    the lake cannot hold unchanged (NaN, an infinite instant, a fraction of a cent) becomes null, and ``_unreadable``
    says what it was.
    """
    values = []
    complaints, all_readable = [], []
    for column in source.columns:
        name = f"source.{column.name}"
        readable = column.type.readable_sql(name)
        value = column.type.from_source_sql(name)
        if readable == "true":
            values.append(f"{value} as {column.lake_name}")
        else:
            values.append(f"case when {readable} then {value} end as {column.lake_name}")
            complaints.append(f"case when not {readable} then '{column.name} = ' || {name}::text end")
            all_readable.append(readable)
    unreadable = (
        f"case when not ({' and '.join(all_readable)}) then concat_ws(', ', {', '.join(complaints)}) end"
        if complaints
        else "null::text"
    )
    chosen = f"select {', '.join(values)}, {unreadable} as _unreadable from"
    changed = shop_sql(source, changed_since)
    if changed_since == EVERYTHING:
        return f"{chosen} ({changed}) as source"
    key = ", ".join(source.primary_key)
    twins = f"({key}) in (select {key} from ({changed}) as changed)"
    return (
        f"{chosen} ({changed}) as source union all {chosen} ({shop_sql(source, EVERYTHING)}) as source"
        f" where {source.watermark} < {_instant(changed_since)} and {twins}"
    )


@contextmanager
def _snapshot(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """A transaction: repeatable read in Postgres, where every statement in it sees the same instant."""
    connection.execute("begin")
    try:
        yield
    finally:
        # On a connection that broke this fails, and is tried here: DuckDB, closing it, would end the whole process.
        with suppress(duckdb.Error):
            connection.execute("rollback")


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Say which source an error belongs to."""
    try:
        with duck.guarded():
            yield
    except (duckdb.Error, ConnectionError) as error:
        raise type(error)(f"source {source}: {error}") from error


def _counted(reader: pa.RecordBatchReader, counts: list[int]) -> pa.RecordBatchReader:
    """The same rows; how many each batch had is noted as it passes."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            counts.append(batch.num_rows)
            yield batch

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def _row(connection: duckdb.DuckDBPyConnection, statement: str) -> tuple[Any, ...]:
    """The one row of a statement of the shop."""
    return connection.execute("select * from postgres_query('shop', ?)", [statement]).fetchone() or ()
