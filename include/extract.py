"""Extraction: one repeatable-read snapshot of every source table, appended to lake/raw as it was read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
from psycopg import sql

from include import duck, lake
from include.completeness import rows_of_copy
from include.contract import Source
from include.settings import settings

_WINDOW = re.compile(r"(?<!:):changed_since\b")  # not the type of a cast

EVERYTHING = "-infinity"  # changed since ever: the window of a full read


@dataclass(frozen=True)
class Extraction:
    """What one snapshot gave.

    Attributes:
        snapshot_at: the source's clock when the snapshot was taken.
        changed_since: the window that was read, per source: the one asked for, or ``EVERYTHING`` where that window
            would have left the copy incomplete.
        extracted: rows read, per source.
        source_rows: rows that the shop held in that snapshot, per source.
    """

    snapshot_at: datetime
    changed_since: Mapping[str, str]
    extracted: Mapping[str, int]
    source_rows: Mapping[str, int]


def extract(sources: Mapping[str, Source], changed_since: Mapping[str, str], run: str) -> Extraction:
    """Read the rows of every source that changed, all in one snapshot, into lake/raw.

    A source whose copy would not come to as many rows as the shop holds is read whole: rows were deleted there, or
    committed late. Reading the same run again replaces its rows.

    Args:
        sources: the shop's sources, by name.
        changed_since: per source an ISO instant, or ``EVERYTHING``.
        run: the run these rows belong to.

    Raises:
        OSError: when the shop cannot be reached (ConnectionError), or goes away while it is read.
        duckdb.Error: when Postgres refuses a shop's SQL; the message names the source.
    """
    windows = dict(changed_since)
    extracted: dict[str, int] = {}
    source_rows: dict[str, int] = {}
    with duck.session() as connection:
        duck.attach(connection, "shop", settings().shop_url, read_only=True)
        with _snapshot(connection):
            snapshot_at = _scalar(connection, "select now() as at")
            for name, source in sources.items():
                with _named(name):
                    source_rows[name] = _scalar(
                        connection, f"select count(*) as n from ({shop_sql(source, EVERYTHING)}) as source"
                    )
                    extracted[name] = _read(connection, source, windows[name], run, snapshot_at)
                    if windows[name] != EVERYTHING and rows_of_copy(connection, source, run) != source_rows[name]:
                        windows[name] = EVERYTHING
                        extracted[name] = _read(connection, source, EVERYTHING, run, snapshot_at)
    return Extraction(snapshot_at, windows, extracted, source_rows)


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
    complaints = []
    for column in source.columns:
        name = f"source.{column.name}"
        readable = column.type.readable_sql(name)
        value = column.type.from_source_sql(name)
        if readable == "true":
            values.append(f"{value} as {column.lake_name}")
        else:
            values.append(f"case when {readable} then {value} end as {column.lake_name}")
            complaints.append(f"case when not {readable} then '{column.name} = ' || {name}::text end")
    unreadable = f"nullif(concat_ws(', ', {', '.join(complaints)}), '')" if complaints else "null::text"
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
    """Say which source an error belongs to, and tell a server that went away from SQL that it refused."""
    try:
        yield
    except duckdb.Error as error:
        if any(words in str(error) for words in ("server closed the connection", "terminating connection")):
            raise ConnectionError(f"source {source}: {error}") from error
        raise type(error)(f"source {source}: {error}") from error


def _read(
    connection: duckdb.DuckDBPyConnection, source: Source, changed_since: str, run: str, snapshot_at: datetime
) -> int:
    rows = connection.execute(
        f"select *, cast(? as timestamptz) as _snapshot_at, ? as {lake.RUN} from postgres_query('shop', ?)",
        [snapshot_at, run, typed_sql(source, changed_since)],
    )
    counts: list[int] = []
    lake.replace_run("raw", source.name, run, _counted(rows.to_arrow_reader(100_000), counts))
    return sum(counts)


def _counted(reader: pa.RecordBatchReader, counts: list[int]) -> pa.RecordBatchReader:
    """The same rows; how many each batch had is noted as it passes."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            counts.append(batch.num_rows)
            yield batch

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def _scalar(connection: duckdb.DuckDBPyConnection, statement: str) -> Any:
    row = connection.execute("select * from postgres_query('shop', ?)", [statement]).fetchone()
    return row[0] if row else None
