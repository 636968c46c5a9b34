"""Training sets: what was known of each entity at its timestamp, and what followed.

A feature row counts at a timestamp when its business day had ended in the shop's time zone, no longer ago than the time
to live, and when it had been published by then. The latest day that counts is taken, in the version that readers saw at
that instant: a slice that was published again with other rows is a new version, known from then on, and a backfilled
slice was not known before its backfill. The labels are those of the latest business day that had ended, whenever they
were published; they are null where their window had not closed, or no slice was published.

Amounts are whole minor units, by the decimals that the shop has now. Quantities are units: whole numbers, or floats
where the shop's units have decimals.

Everything is read from the lake, at the published versions in the ledger. A publication fixes the versions of all
tables: the same entities and the same publication give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from include.contract import Column, Type
from include.contract.types import day_number
from include.lake import duckdb_session as duck
from include.lake import storage
from include.settings import settings
from include.training.entities import AT, KEY, PAIR, Entities, load, quoted, slice_rows
from include.training.errors import UnknownPublication, WrongTrainingSet
from include.training.slices import Slice, files, newest_publication, published, scale
from include.training.wanted import Wanted, wanted

TIME_TO_LIVE = timedelta(days=7)
ROWS_PER_GROUP = 122_880
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def training_set(
    entities: Entities,
    features: Iterable[str],
    labels: Iterable[str] = (),
    *,
    ttl: timedelta | None = TIME_TO_LIVE,
    publication: int | None = None,
    known_only: bool = True,
    timestamp: str = "timestamp",
) -> pa.Table:
    """Join feature rows and labels to (entity, timestamp) pairs, as of each timestamp.

    Args:
        entities: a table of pairs (or the path of a Parquet file, a ``Query``, or ``EveryEntity``): the keys of all
            sets, integers, text or UUIDs as in the shop, and the timestamp. Other columns are kept.
        features: feature sets (``customer_activity``) or single columns (``customer_activity.recency_days``).
        labels: sets of labels, or single columns.
        ttl: the greatest age of a feature row at the timestamp, counted from the end of its day; None: any age.
        publication: the latest publication that may be read; None: the newest of features.
        known_only: only rows published by the timestamp. Without it a day counts from its own end, in its newest
            version: for a past that was backfilled in one go.
        timestamp: the column with the timestamp, an instant with a time zone.

    Returns:
        One row per pair, in their order, duplicates kept (those of a query are ordered by all their columns). After the
        pairs' own columns, per set: its columns as the lake holds them (``customer_activity__recency_days``; amounts
        in minor units, of the decimals that the shop has now), ``…__as_of``, the business day of the row, and for
        features ``…__known_at``. Null without a row.

    Raises:
        WrongTrainingSet: one of its kinds, saying what would be right.
        MissingVersion: when the lake no longer has a published version.
        ConnectionError: when the warehouse cannot be reached.
    """
    asked = Asked(tuple(features), tuple(labels), ttl, publication, known_only, timestamp)
    with _joined(entities, asked) as (rows, _):
        return rows.read_all()


def write_training_set(
    into: Path | str,
    entities: Entities,
    features: Iterable[str],
    labels: Iterable[str] = (),
    *,
    ttl: timedelta | None = TIME_TO_LIVE,
    publication: int | None = None,
    known_only: bool = True,
    timestamp: str = "timestamp",
) -> str:
    """Write a training set as Parquet, in bounded memory, and beside it a JSON with its inputs.

    Args:
        into: the file, ``….parquet``, a path or a URL of the lake's store; the JSON
            has the same name, ``….json``. Existing files are replaced.
        entities: as in ``training_set``, like the rest.
        features: feature sets or single columns.
        labels: sets of labels, or single columns.
        ttl: the greatest age of a feature row.
        publication: the latest publication that may be read.
        known_only: only rows published by the timestamp.
        timestamp: the column with the timestamp.

    Returns:
        The path or URL of the JSON: the publication, and per set every slice that could count, with its version in
        the lake.

    Raises:
        WrongTrainingSet: one of its kinds, saying what would be right.
        MissingVersion: when the lake no longer has a published version.
        ConnectionError: when the warehouse cannot be reached.
    """
    asked = Asked(tuple(features), tuple(labels), ttl, publication, known_only, timestamp)
    note = f"{str(into).removesuffix('.parquet')}.json"
    with storage.whole(str(into)) as unfinished:
        with _joined(entities, asked) as (rows, made_from):
            count = _write(rows, unfinished)
        with Path(unfinished).open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
    storage.write(note, f"{json.dumps({'rows': count, 'sha256': digest, **made_from}, indent=2)}\n".encode())
    return note


@dataclass(frozen=True)
class Asked:
    """The request for a training set; see ``training_set``."""

    features: tuple[str, ...]
    labels: tuple[str, ...]
    ttl: timedelta | None
    publication: int | None
    known_only: bool
    timestamp: str


@contextmanager
def _joined(entities: Entities, asked: Asked) -> Iterator[tuple[pa.RecordBatchReader, dict[str, Any]]]:
    """The rows of a training set as a stream, and a description of its inputs."""
    sets = wanted(asked.features, asked.labels)
    if asked.ttl is not None and asked.ttl < timedelta():
        raise WrongTrainingSet(f"a time to live of {asked.ttl} is negative")
    newest = newest_publication()
    publication = newest if asked.publication is None else asked.publication
    if not 0 < publication <= newest:
        raise UnknownPublication(f"there is no publication {publication} of features; the newest is {newest}")
    with duck.session() as connection:
        own = load(connection, entities, asked.timestamp, sets, publication)
        made_from = {}
        for number, one in enumerate(sets):
            slices = _that_may_count(connection, one, published(one, publication), asked)
            _match(connection, number, one, slices, asked)
            made_from[one.table.qualified_name] = {
                "columns": [column.lake_name for column in one.columns],
                "slices": [
                    {
                        "as_of": of.as_of.isoformat(),
                        "known_at": of.known_at.astimezone(UTC).isoformat(),
                        "lake_version": of.lake_version,
                    }
                    for of in slices
                ],
            }
        columns = [f"pairs.{quoted(name)}" for name in own]
        columns += [f"set_{number}.{quoted(name)}" for number, one in enumerate(sets) for name in _added(one)]
        joins = "\n".join(f"left join set_{number} using ({PAIR})" for number in range(len(sets)))
        rows = connection.execute(
            f"""
            select {", ".join(columns)}
            from pairs
            {joins}
            order by pairs.{PAIR}
            """
        )
        about = {
            "publication": publication,
            "timezone": settings().timezone,
            "ttl_seconds": None if asked.ttl is None else asked.ttl.total_seconds(),
            "known_only": asked.known_only,
            "sets": made_from,
        }
        yield rows.to_arrow_reader(ROWS_PER_GROUP), about


def _added(one: Wanted) -> list[str]:
    """The columns that a set adds, by their names in the training set."""
    times = ["as_of"] if one.is_label else ["as_of", "known_at"]
    return [one.named(name) for name in (*times, *(column.lake_name for column in one.columns))]


def _that_may_count(
    connection: duckdb.DuckDBPyConnection, one: Wanted, slices: list[Slice], asked: Asked
) -> list[Slice]:
    """The slices that could match a pair; files of other slices are never opened."""
    found = connection.execute(f"select epoch_us(min({AT})), epoch_us(max({AT})) from pairs").fetchone()
    if found is None or found[0] is None:
        return []
    first, last = (_EPOCH + timedelta(microseconds=instant) for instant in found)
    if one.is_label:
        oldest: datetime | None = first - timedelta(days=2)  # a day may have 25 hours
    else:
        oldest = None if asked.ttl is None else first - asked.ttl
    whole = one.is_label or not asked.known_only
    return [
        of
        for of in slices
        if of.as_of_at <= last
        and (oldest is None or of.as_of_at >= oldest)
        and (of.replaced_at is None if whole else of.known_at <= last and (of.replaced_at or last) >= first)
    ]


def _match(connection: duckdb.DuckDBPyConnection, number: int, one: Wanted, slices: list[Slice], asked: Asked) -> None:
    """Create the table ``set_<number>``: for every pair that has a matching row, that row's columns."""
    connection.execute(
        "create or replace table slices (slice bigint, day bigint, as_of_at timestamptz, known_at timestamptz,"
        " replaced_at timestamptz, scale bigint)"
    )
    connection.execute("create or replace table held (slice bigint, file varchar, day bigint)")
    for place, of in enumerate(slices):  # ordered by day and known_at: a higher number is later
        day, held = day_number(of.as_of), files(one, of)
        connection.execute(
            "insert into slices values (?, ?, ?, ?, ?, ?)",
            [place, day, of.as_of_at, of.known_at, of.replaced_at, scale(one, of)],
        )
        for file in held:
            connection.execute("insert into held values (?, ?, ?)", [place, file, day])
    names = [str(file) for (file,) in connection.execute("select distinct file from held order by 1").fetchall()]
    rows = slice_rows(one, names)
    same = " and ".join(f"feature.{quoted(c.name)} = pairs.{quoted(KEY + c.name)}" for c in one.keys)
    connection.execute(
        f"""
        create or replace table best as
        select {PAIR}, max(feature.slice) as slice
        from pairs
        join (
            select {", ".join(quoted(c.name) for c in one.keys)}, slices.*
            from {rows} as row
            join held on held.file = row._file and held.day = row._day
            join slices using (slice)
        ) as feature on {same} and {_counts(one, asked)}
        group by {PAIR}
        """
    )
    columns = [f"date '1970-01-01' + slices.day::integer as {quoted(one.named('as_of'))}"]
    columns += [] if one.is_label else [f"slices.known_at as {quoted(one.named('known_at'))}"]
    columns += [f"{_value(column)} as {quoted(one.named(column.lake_name))}" for column in one.columns]
    connection.execute(
        f"""
        create table set_{number} as
        select {PAIR}, {", ".join(columns)}
        from best
        join pairs using ({PAIR})
        join slices using (slice)
        join held using (slice)
        join {rows} as feature on held.file = feature._file and held.day = feature._day and {same}
        """
    )


def _counts(one: Wanted, asked: Asked) -> str:
    """A condition: a slice counts at a pair's instant."""
    if one.is_label:
        return f"feature.day = business_day(pairs.{AT}) - 1"
    condition = f"feature.as_of_at <= pairs.{AT}"
    if asked.ttl is not None:
        condition += f" and feature.as_of_at >= pairs.{AT} - to_microseconds({asked.ttl // timedelta(microseconds=1)})"
    if asked.known_only:
        condition += f" and feature.known_at <= pairs.{AT} and coalesce(feature.replaced_at > pairs.{AT}, true)"
    return condition


def _value(column: Column) -> str:
    name = f"feature.{quoted(column.lake_name)}"
    if column.type is Type.UNITS and column.unit_decimals:
        return f"{name} / {10**column.unit_decimals}"  # a float, as a mean of units is one
    if column.type is Type.CENTS:
        return f"{name} * slices.scale"
    return f"date '1970-01-01' + {name}::integer" if column.type is Type.DAY else name


def _write(rows: pa.RecordBatchReader, into: str) -> int:
    """Write rows in groups of one size, so that the same rows give the same bytes whatever batches they came in.

    Returns:
        The number of rows.
    """
    count = 0
    with pq.ParquetWriter(into, rows.schema, compression="zstd") as writer:
        waiting: list[pa.RecordBatch] = []
        for batch in rows:
            waiting.append(batch)
            while sum(one.num_rows for one in waiting) >= ROWS_PER_GROUP:
                held = pa.Table.from_batches(waiting, rows.schema)
                writer.write_table(held.slice(0, ROWS_PER_GROUP).combine_chunks())
                waiting = held.slice(ROWS_PER_GROUP).to_batches()
            count += batch.num_rows
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting, rows.schema).combine_chunks())
    return count
