"""Checksums: what the rows of a source add up to, in the shop and in the copy, and what need not be added up again.

The hash of a row is md5 over a text of the contract's columns that Postgres and DuckDB write alike; a sum of hashes
needs no order. Both sides add up by bucket of keys. Belongs here: texts, sums, and what is kept of them. Does not: what
follows where two sums differ.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa
from pyarrow import parquet

from include.contract import Column, Source, Type
from include.gate.handoff import KEPT_SECONDS
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.lake.night_views import UNREADABLE, read_columns
from include.settings import settings

_log = logging.getLogger(__name__)

BUCKETS = 4096  # a power of two; for one late row of 6 M, 1,500 are read again

# What is remembered is so by piece, of which a bucket has many: one row in 365, all over the keys, is in every bucket.
# Whole numbers that follow each other share a piece: what is new touches few of them.
_NEIGHBOURS = 6  # bits: 64 keys
_PIECES_OF_NUMBERS = 1 << 18
_PIECES_OF_TEXTS = 1 << 16
_MOST_CHANGED = 0.25  # of the pieces; beyond that, adding up all of them is as quick

Sums = Mapping[str, tuple[int, int]]  # by bucket, the number of rows and the sum of their hashes


def bucket_sql(source: Source) -> str:
    """An expression, alike in Postgres and DuckDB: the bucket of a row, by the first column of its key."""
    return f"coalesce(cast({_part(source, BUCKETS)} as varchar), '')"


def shop_sums(connection: duckdb.DuckDBPyConnection, source: Source, typed: str) -> Sums:
    """What rows of the shop add up to.

    Args:
        connection: a session in which the shop is attached.
        source: the source.
        typed: the Postgres statement that gives the rows in the lake's types.
    """
    return _by_bucket(connection, source, f"({_asked(_shop_pieces(source, typed))})")


def whole_shop_sums(
    connection: duckdb.DuckDBPyConnection, source: Source, rows: str, typed: str, *, anew: bool = False
) -> Sums:
    """What all rows of the shop add up to, of which Postgres computes no more than it must.

    It takes the fingerprint of every row, which is its own hash of it (``hash_record_extended``: of 6 M rows in 1.3 s,
    where md5 over their text takes 6.0 s). A piece of the keys whose fingerprints add up to what they did on an earlier
    night holds the rows that it held then, and so adds up to the same; what that was is kept beside the lake. It
    follows from the rows alone, whichever night, shop or copy they are of.

    Args:
        connection: a session in which the shop is attached.
        source: the source.
        rows: the Postgres statement that gives all rows.
        typed: the one that gives them in the lake's types.
        anew: whether everything is computed, whatever is kept.
    """
    name, file = source.name, _kept_folder(source) / f"{_fingerprint(source, typed)}.shop.parquet"
    connection.execute(f"create or replace temp table prints_{name} as {_asked(_prints_sql(source, rows))}")
    connection.execute(
        f"create or replace temp table same_{name} as select piece, '' as hashes from prints_{name} limit 0"
    )
    if not anew and (remembered := _remembered(file)):
        connection.register("remembered", remembered)
        connection.execute(
            f"insert into same_{name} select piece, hashes from prints_{name}"
            " join remembered using (piece, rows, prints)"
        )
        connection.unregister("remembered")
    changed = connection.execute(
        f"select piece from prints_{name} where piece is not null and piece not in (select piece from same_{name})"
    ).fetchall()
    if len(changed) > _MOST_CHANGED * _count(connection, f"prints_{name}"):
        connection.execute(f"delete from same_{name}")
        some = typed
    else:
        listed = ", ".join(repr(piece) for (piece,) in changed) or "null"
        piece = _piece_sql(source)
        some = f"select * from ({typed}) as whole where {piece} in ({listed}) or {piece} is null"
    connection.execute(
        f"create or replace temp table sums_{name} as select piece, rows, hashes from prints_{name}"
        f" join same_{name} using (piece) union all {_asked(_shop_pieces(source, some))}"
    )
    kept = f"select piece, rows, prints, hashes from prints_{name} join (from sums_{name}) as sums using (piece, rows)"
    _keep(connection, kept, file)
    return _by_bucket(connection, source, f"sums_{name}")


def copy_sums_sql(source: Source, rows: str, sign: str = "") -> str:
    """The DuckDB statement that adds up a relation alike; with a sign, to be taken away from others."""
    hashed = f"cast(cast('0x' || substr(md5({copy_text(source)}), 1, 15) as bigint) as hugeint)"
    return (
        f"select {bucket_sql(source)} as bucket, {sign}count(*) as rows,"
        f" {sign}cast(sum({hashed}) as decimal(38, 0)) as hashes from {rows} group by 1"
    )


def known_sums_sql(connection: duckdb.DuckDBPyConnection, source: Source) -> str:
    """A statement: the sums of every Parquet file of the copy.

    A file never changes, so it is added up once and its sums are kept beside the lake, under its name, size and time
    and the text of a row: a night adds up the files that nights before have not seen. Sums that were not asked for in
    days are removed, if the copy has no such file any more.
    """
    kept = []
    for layer in ("clean", "quarantine"):
        for file in lake.files(layer, source.name):
            seen = Path(file).stat()
            said = f"{file} {seen.st_size} {seen.st_mtime_ns} {copy_sums_sql(source, layer)}"
            kept.append(_kept_folder(source) / f"{hashlib.sha256(said.encode()).hexdigest()}.parquet")
            if not kept[-1].exists():
                columns = (*source.columns, UNREADABLE) if layer == "quarantine" else source.columns
                rows = duck.relation([file], columns)
                if layer == "clean":
                    rows = f"(select *, null::varchar as _unreadable from {rows})"
                _keep(connection, copy_sums_sql(source, rows), kept[-1])
    for other in set(_kept_folder(source).iterdir()) - set(kept):  # not at once: another night may be about to read it
        if time.time() - other.stat().st_mtime > KEPT_SECONDS:
            other.unlink(missing_ok=True)
    nothing = "select null::varchar as bucket, 0::bigint as rows, 0::decimal(38, 0) as hashes where false"
    return f"select * from read_parquet([{', '.join(duck.quoted(str(file)) for file in kept)}])" if kept else nothing


def copy_text(source: Source) -> str:
    """A DuckDB expression: a row as text that no other row shares."""
    # What Postgres sends: microseconds since 2000-01-01.
    return _row_text(source, "printf('%016x', epoch_us({}) - 946684800000000)")


def _part(source: Source, parts: int) -> str:
    """An expression, alike in Postgres and DuckDB: which of so many parts of the keys a row is in; null without key."""
    key = source[source.primary_key[0]]
    if key.type is Type.INTEGER:
        return f"({key.lake_name} >> {_NEIGHBOURS}) & {parts - 1}"
    return f"substr(md5({key.lake_name}), 1, {len(f'{parts - 1:x}')})"


def _piece_sql(source: Source) -> str:
    is_number = source[source.primary_key[0]].type is Type.INTEGER
    return _part(source, _PIECES_OF_NUMBERS if is_number else _PIECES_OF_TEXTS)


def _prints_sql(source: Source, rows: str) -> str:
    """The Postgres statement that adds up fingerprints: piece, how many rows, their sum as text."""
    key = source[source.primary_key[0]]
    values = ", ".join(column.type.identity_sql(f"source.{column.name}") for column in source.columns)
    prints = (
        f"select {key.type.from_source_sql(f'source.{key.name}')} as {key.lake_name},"
        f" hash_record_extended(row({values}), 0) as print from ({rows}) as source"
    )
    return _grouped(f"select {_piece_sql(source)} as piece, print from ({prints}) as typed", "prints")


def _shop_pieces(source: Source, typed: str) -> str:
    """The Postgres statement that adds up rows: piece, how many, sum of hashes as text."""
    # As hexadecimal digits: arithmetic with numerics took a sixth of the whole statement (1.2 M rows, 3.2 s and 2.7 s).
    text = _row_text(source, "encode(timestamptz_send({}), 'hex')")
    # Fifteen hexadecimal digits behind a zero: a bigint that is never negative.
    hashed = f"('x0' || substr(md5({text}), 1, 15))::bit(64)::bigint"
    return _grouped(f"select {_piece_sql(source)} as piece, {hashed} as print from ({typed}) as typed", "hashes")


def _grouped(prints: str, name: str) -> str:
    """The Postgres statement that adds up ``print`` by ``piece``: piece, how many rows, their sum as text."""
    # Of a union Postgres does not guess how many groups there will be. It would guess one per key, and add up on a
    # single core: 12 M rows 4.0 s, so 2.7 s on two.
    rows = f"{prints} union all select null, null where false"
    return f"select piece, count(*) as rows, sum(print)::text as {name} from ({rows}) as pieces group by 1"


def _by_bucket(connection: duckdb.DuckDBPyConnection, source: Source, pieces: str) -> Sums:
    """Sums of pieces as sums of buckets."""
    key = source[source.primary_key[0]]
    bucket = f"piece & {BUCKETS - 1}" if key.type is Type.INTEGER else f"piece[:{len(f'{BUCKETS - 1:x}')}]"
    found = connection.execute(
        f"select coalesce(cast({bucket} as varchar), ''), sum(rows), sum(cast(hashes as hugeint))"
        f" from {pieces} group by 1"
    )
    return {str(bucket): (int(rows), int(hashes)) for bucket, rows, hashes in found.fetchall()}


def _count(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    return int((connection.execute(f"select count(*) from {rows}").fetchone() or (0,))[0])


def _asked(statement: str) -> str:
    """The DuckDB statement that asks the shop."""
    return f"select * from postgres_query('shop', {duck.quoted(statement)})"


def _fingerprint(source: Source, typed: str) -> str:
    """What decides which sums follow from which fingerprints, in short."""
    return hashlib.sha256((_prints_sql(source, "") + _shop_pieces(source, typed)).encode()).hexdigest()


def _kept_folder(source: Source) -> Path:
    folder = settings().lake / "sums" / source.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _remembered(file: Path) -> pa.Table | None:
    """What a file of sums holds; None where there is none, or one that cannot be read: all is computed then."""
    try:
        # Opened once: DuckDB opens a file when it binds and again when it reads, and another night may replace it.
        with file.open("rb") as handle:
            return parquet.read_table(handle)
    except FileNotFoundError:
        return None
    except pa.ArrowException as error:
        _log.warning("%s cannot be read, everything is added up anew: %s", file, error)
        return None


def _keep(connection: duckdb.DuckDBPyConnection, statement: str, file: Path) -> None:
    """Write rows to a file of sums, which is there whole or not at all."""
    partial = file.with_suffix(f".{uuid4()}")
    connection.execute(f"copy ({statement}) to {duck.quoted(str(partial))} (format parquet)")
    partial.rename(file)


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
