"""The completeness proof: copy and shop hold the same rows, by checksums that both sides compute for themselves.

A cursor over ``updated_at`` never sees a row that was deleted, nor one that was committed late with an old time. So in
the snapshot of the extraction, Postgres adds up a hash per row, by bucket of keys; DuckDB does the same over the copy:
accepted and quarantined rows, and what was just read. Where a bucket differs, its rows are read again. What the copy
lacked was late; what only the copy has was deleted. After the gate the sums must hold once more.

The hash is md5 over a text of the contract's columns that both sides write alike; a sum needs no order.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

import duckdb

from include import duck, lake
from include.contract import Column, Source, Type
from include.settings import settings
from include.validate.candidates import KEPT_SECONDS, UNREADABLE, gate_file, present, read_columns

BUCKETS = 4096  # a power of two; for one late row of 6 M, 1,500 are read again

Sums = Mapping[str, tuple[int, int]]  # by bucket, the number of rows and the sum of their hashes


class Incomplete(RuntimeError):
    """Copy and shop differ, and reading again did not help; the message names the source and both sides."""


class Scope(StrEnum):
    """How much of a source is compared: all of it, or the keys that are new. Rows are counted in any case."""

    WHOLE = "whole"
    NEW_KEYS = "new keys"


@dataclass(frozen=True)
class ShopSums:
    """What the shop says of a source in its snapshot.

    Attributes:
        rows: how many it holds.
        where: a predicate, alike in Postgres and DuckDB: the rows that were added up.
        buckets: their sums.
    """

    rows: int
    where: str
    buckets: Sums

    def keep(self, run: str, source: str) -> None:
        """Keep it at the gate, for the proof after it."""
        file = _file(run, source)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"rows": self.rows, "where": self.where, "buckets": dict(self.buckets)}))

    @classmethod
    def kept(cls, run: str, source: str) -> ShopSums:
        """What was kept."""
        said = json.loads(_file(run, source).read_text())
        return cls(said["rows"], said["where"], {name: (rows, sums) for name, (rows, sums) in said["buckets"].items()})


@dataclass(frozen=True)
class Comparison:
    """One source on both sides; ``copy_rows`` counts all of the copy."""

    source: str
    shop: ShopSums
    copy_rows: int
    copy: Sums

    @property
    def rows_differ(self) -> bool:
        """Whether one side has more rows."""
        return self.copy_rows != self.shop.rows

    @property
    def differing(self) -> list[str]:
        """The buckets that differ, sorted."""
        shop = self.shop.buckets
        return sorted(bucket for bucket in shop.keys() | self.copy.keys() if shop.get(bucket) != self.copy.get(bucket))

    def must_hold(self) -> None:
        """Raise ``Incomplete`` unless both sides are equal."""
        if self.differing or self.rows_differ:
            raise Incomplete(
                f"the copy is not the shop's; nothing is published. {self.source}: the shop has {self.shop.rows:,}"
                f" rows, the copy {self.copy_rows:,}; {len(self.differing):,} of {BUCKETS:,} buckets of keys differ"
            )


def compare(
    connection: duckdb.DuckDBPyConnection, source: Source, shop: ShopSums, run: str | None = None, *, full: bool = False
) -> Comparison:
    """Add up the copy of a source as the shop was.

    Args:
        connection: a session in which the night is open.
        source: the source.
        shop: what the shop says.
        run: the run that will replace rows of the copy, to see it as the night will leave it; as it is without one.
        full: whether that run read everything.
    """
    name = source.name
    if full:
        copy = _grouped(source, f"raw_{name} where {shop.where}")
    elif shop.where == "true":
        copy = _known(connection, source)
    else:
        copy = _grouped(source, f"known_{name} where {shop.where}")
    if run and not full:
        replaced = " or ".join(present(source, "row", f"{layer}_{name}") for layer in ("raw", "gone"))
        less = _grouped(source, f"known_{name} as row where ({replaced}) and {shop.where}", sign="-")
        copy = f"{copy} union all {less} union all {_grouped(source, f'raw_{name} where {shop.where}')}"
    found = connection.execute(f"select bucket, sum(rows), sum(cast(hashes as hugeint)) from ({copy}) group by bucket")
    sums = {str(bucket): (int(rows), int(hashes)) for bucket, rows, hashes in found.fetchall() if rows or hashes}
    if shop.where == "true":
        return Comparison(name, shop, sum(rows for rows, _ in sums.values()), sums)
    counted = connection.execute(f"select count(*) from {name if run else f'known_{name}'}").fetchone() or (0,)
    return Comparison(name, shop, counted[0], sums)


def prove(connection: duckdb.DuckDBPyConnection, source: Source, run: str) -> None:
    """Compare what the gate left, accepted and in quarantine, with what the shop said.

    Args:
        connection: a session in which the night is open, after everything was written.
        source: the source.
        run: the run that asked the shop.

    Raises:
        Incomplete: when they differ.
    """
    compare(connection, source, ShopSums.kept(run, source.name)).must_hold()


def keep_copy(connection: duckdb.DuckDBPyConnection, source: Source, run: str) -> None:
    """Keep what the copy adds up to in place of what the shop says, for the proof after the gate of a replay.

    Rows that only move between accepted and quarantined change none of it.

    Args:
        connection: a session in which the night is open.
        source: the source.
        run: a run that asks no shop.
    """
    copy = compare(connection, source, ShopSums(0, "true", {}))
    ShopSums(copy.copy_rows, "true", copy.copy).keep(run, source.name)


def new_keys_sql(connection: duckdb.DuckDBPyConnection, source: Source) -> str:
    """A predicate, alike in Postgres and DuckDB, of rows among which are all whose keys the copy did not have.

    For whole numbers a range, which Postgres finds by its index; for other keys their buckets.
    """
    key, new = source[source.primary_key[0]], f"new_{source.name}"
    connection.execute(
        f"create or replace temp view {new} as select * from raw_{source.name} as row"
        f" where not {present(source, 'row', f'known_{source.name}')}"
    )
    if key.type is Type.INTEGER:
        (least,) = connection.execute(f"select min({key.lake_name}) from {new}").fetchone() or (None,)
        return "false" if least is None else f"{key.lake_name} >= {least}"
    buckets = connection.execute(f"select distinct {bucket_sql(source)} from {new}").fetchall()
    return (
        f"{bucket_sql(source)} in ({', '.join(duck.quoted(bucket) for (bucket,) in buckets)})" if buckets else "false"
    )


def bucket_sql(source: Source) -> str:
    """An expression, alike in Postgres and DuckDB: the bucket of a row, by the first column of its key."""
    return f"coalesce(cast({_bucket(source)} as varchar), '')"


def _bucket(source: Source) -> str:
    key = source[source.primary_key[0]]
    if key.type is Type.INTEGER:
        return f"{key.lake_name} & {BUCKETS - 1}"
    return f"substr(md5({key.lake_name}), 1, 3)"


def shop_sums_sql(source: Source, rows: str) -> str:
    """The Postgres statement that adds up rows: bucket, how many, sum of hashes as text.

    Args:
        source: what the rows are of.
        rows: a statement that gives them in the lake's types.
    """
    # As hexadecimal digits: arithmetic with numerics took a sixth of the whole statement (1.2 M rows, 3.2 s and 2.7 s).
    text = _row_text(source, "encode(timestamptz_send({}), 'hex')")
    # Fifteen hexadecimal digits behind a zero: a bigint that is never negative.
    hashed = f"('x0' || substr(md5({text}), 1, 15))::bit(64)::bigint"
    return (
        "select coalesce(bucket::varchar, '') as bucket, rows, hashes::text from ("
        f"select {_bucket(source)} as bucket, count(*) as rows, sum({hashed}) as hashes"
        f" from ({rows}) as typed group by 1) as sums"
    )


def _grouped(source: Source, rows: str, sign: str = "") -> str:
    """The DuckDB statement that adds up a relation alike; with a sign, to be taken away from others."""
    hashed = f"cast(cast('0x' || substr(md5({_text(source)}), 1, 15) as bigint) as hugeint)"
    return (
        f"select {bucket_sql(source)} as bucket, {sign}count(*) as rows,"
        f" {sign}cast(sum({hashed}) as decimal(38, 0)) as hashes from {rows} group by 1"
    )


def _known(connection: duckdb.DuckDBPyConnection, source: Source) -> str:
    """A statement: the sums of every Parquet file of the copy.

    A file never changes, so it is added up once and its sums are kept beside the lake, under its name, size and time
    and the text of a row: a night adds up the files that nights before have not seen. Sums that were not asked for in
    days are removed, if the copy has no such file any more.
    """
    below = settings().lake / "sums" / source.name
    below.mkdir(parents=True, exist_ok=True)
    kept = []
    for layer in ("clean", "quarantine"):
        for file in lake.files(layer, source.name):
            seen = Path(file).stat()
            said = f"{file} {seen.st_size} {seen.st_mtime_ns} {_grouped(source, layer)}"
            kept.append(below / f"{hashlib.sha256(said.encode()).hexdigest()}.parquet")
            if not kept[-1].exists():
                columns = (*source.lake_columns, UNREADABLE) if layer == "quarantine" else source.lake_columns
                rows = duck.relation([file], columns)
                if layer == "clean":
                    rows = f"(select *, null::varchar as _unreadable from {rows})"
                partial = kept[-1].with_suffix(f".{uuid4()}")
                connection.execute(f"copy ({_grouped(source, rows)}) to {duck.quoted(str(partial))} (format parquet)")
                partial.rename(kept[-1])
    for other in set(below.iterdir()) - set(kept):  # not at once: another night may be about to read them
        if time.time() - other.stat().st_mtime > KEPT_SECONDS:
            other.unlink(missing_ok=True)
    nothing = "select null::varchar as bucket, 0::bigint as rows, 0::decimal(38, 0) as hashes where false"
    return f"select * from read_parquet([{', '.join(duck.quoted(str(file)) for file in kept)}])" if kept else nothing


def find_late_and_deleted(
    connection: duckdb.DuckDBPyConnection, source: Source, buckets: Collection[str]
) -> tuple[str, str]:
    """Tell the rows that the copy lacks from those that only it has.

    Args:
        connection: a session in which the night is open and ``again_s`` holds the shop's rows of the buckets.
        source: the source.
        buckets: those that differ.

    Returns:
        Two relations: the shop's rows of every key whose rows differ, and the keys that are only in the copy.
    """
    name, key = source.name, ", ".join(source.primary_key)
    some = ", ".join(f"'{bucket}'" for bucket in buckets)
    theirs = f"select {key}, {_text(source)} as said from again_{name}"
    ours = f"select {key}, {_text(source)} as said from {name} where {bucket_sql(source)} in ({some})"
    # As often as they occur: of a row that stands twice in the shop, the copy may lack one.
    connection.execute(
        f"create or replace temp table differing_{name} as select distinct {key} from ("
        f"(({theirs}) except all ({ours})) union all (({ours}) except all ({theirs})))"
    )
    late = f"(select * from again_{name} as row where {present(source, 'row', f'differing_{name}')})"
    deleted = f"(select * from differing_{name} as row where not {present(source, 'row', f'again_{name}')})"
    return late, deleted


def _file(run: str, source: str) -> Path:
    return gate_file(run, source).with_suffix(".sums.json")


def _text(source: Source) -> str:
    # What Postgres sends: microseconds since 2000-01-01.
    return _row_text(source, "printf('%016x', epoch_us({}) - 946684800000000)")


def _row_text(source: Source, instant: str) -> str:
    """A row as text that no other row shares: its columns, escaped, with nulls as what no value is."""
    return f"concat_ws('|', {', '.join(_column_text(column, instant) for column in read_columns(source))})"


def _column_text(column: Column, instant: str) -> str:
    name = column.lake_name
    if column.type in (Type.TEXT, Type.UUID, Type.JSON):
        return f"coalesce(replace(replace({name}, '\\', '\\\\'), '|', '\\p'), '\\0')"
    if column.type is Type.BOOLEAN:
        name = f"cast({name} as integer)"
    if column.type is Type.AT:
        name = instant.format(name)
    return f"coalesce(cast({name} as varchar), '\\0')"
