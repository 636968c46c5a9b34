"""Checksums of a source's rows, computed in the shop and over the copy, and cached where no row changed.

The hash of a row is the md5 of a text of the contract's columns, which Postgres and DuckDB write in the same way. A sum
of hashes does not depend on the order of rows. Both sides sum by bucket of keys.

Belongs here: texts, sums, and the files that cache sums. Does not: what happens if two sums differ.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
from pyarrow import parquet

from include.contract import Column, Source, Type
from include.gate.handoff import KEPT
from include.lake import duckdb_session as duck
from include.lake import storage
from include.lake import tables as lake
from include.lake.night_views import UNREADABLE, read_columns

_log = logging.getLogger(__name__)

BUCKETS = 4096  # a power of two; for one late row of 6 M, 1,500 rows are read again

# Sums are cached by piece, not by bucket: if one row in 365 changes, spread over all keys, every bucket changes. A
# bucket has many pieces. Consecutive integers share a piece, so new rows change few pieces.
_NEIGHBOURS = 6  # bits: 64 keys
_PIECES_OF_NUMBERS = 1 << 18
_PIECES_OF_TEXTS = 1 << 16
_MOST_CHANGED = 0.25  # of the pieces; above that, summing all of them is as fast

_UTF8 = "convert_to({}, 'UTF8')"  # a shop's database may be in another encoding; DuckDB has a macro of this name

Sums = Mapping[str, tuple[int, int]]  # by bucket, the number of rows and the sum of their hashes


def bucket_sql(source: Source) -> str:
    """An expression, the same in Postgres and DuckDB: a row's bucket, from the first column of its key."""
    return f"coalesce(cast({_part(source, BUCKETS)} as varchar), '')"


def shop_sums(connection: duckdb.DuckDBPyConnection, source: Source, typed: str) -> Sums:
    """The sums of some rows of the shop.

    Args:
        connection: a session in which the shop is attached.
        source: the source.
        typed: the Postgres statement that returns the rows in the lake's types.
    """
    return _by_bucket(connection, source, f"({_in_shop(shop_pieces_sql(source, typed))})")


def whole_shop_sums(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    rows: str,
    typed: str,
    *,
    ignore_cache: bool = False,
    any_bytes: bool = False,
    fractional: Collection[str] = (),
    added: pa.Table | None = None,
) -> Sums:
    """The sums of all rows of the shop; Postgres computes only the checksums that may have changed.

    Postgres computes its own hash of every row as a fingerprint (``hash_record_extended``: 6 M rows in 1.3 s, where md5
    of their text takes 6.0 s). If the fingerprints of a piece have the same sum as on an earlier night, it holds the
    same rows and has the same checksum, which is cached beside the lake. A checksum depends only on the rows, not on
    the night, the shop or the copy.

    Args:
        connection: a session in which the shop is attached.
        source: the source.
        rows: the Postgres statement that returns all rows.
        typed: the statement that returns them in the lake's types.
        ignore_cache: compute everything.
        any_bytes: whether the shop's texts may hold any bytes.
        fractional: the whole numbers that may hold fractions in the shop.
        added: the sums of all pieces, where they were added up from ranges, in place of the cache. One is taken only
            if the fingerprints, which one statement computes of all rows, are of as many: what a range left out is
            missing in these sums as it is in the copy.
    """
    name, file = source.name, _cached_file(source, f"{_statement_digest(source, typed)}.shop")
    prints = _fingerprints_sql(source, rows, any_bytes=any_bytes, fractional=fractional)
    connection.execute(f"create or replace temp table prints_{name} as {_in_shop(prints)}")
    connection.execute(
        f"create or replace temp table same_{name} as select piece, '' as hashes from prints_{name} limit 0"
    )
    if added is not None:
        _take_known(connection, name, added, "piece, rows")
    elif not ignore_cache and (cached := _read_cached(file)):
        _take_known(connection, name, cached, "piece, rows, prints")
    changed = connection.execute(
        f"select piece from prints_{name} where piece is null or piece not in (select piece from same_{name})"
    ).fetchall()
    if len(changed) > _MOST_CHANGED * _count(connection, f"prints_{name}"):
        connection.execute(f"delete from same_{name}")
        some = typed
    else:
        listed = ", ".join(repr(piece) for (piece,) in changed if piece is not None) or "null"
        piece = _piece_sql(source)
        some = f"select * from ({typed}) as whole where {piece} in ({listed}) or {piece} is null"
    connection.execute(
        f"""
        create or replace temp table sums_{name} as
        select piece, rows, hashes from prints_{name} join same_{name} using (piece)
        {f"union all {_in_shop(shop_pieces_sql(source, some))}" if changed else ""}
        """
    )
    known = f"select piece, rows, prints, hashes from prints_{name} join (from sums_{name}) as sums using (piece, rows)"
    duck.copy(connection, known, file)
    return _by_bucket(connection, source, f"sums_{name}")


def _take_known(connection: duckdb.DuckDBPyConnection, name: str, known: pa.Table, same: str) -> None:
    """Take the checksums of the pieces that are the same as known ones, by columns of the fingerprints."""
    connection.register("known", known)
    connection.execute(
        f"insert into same_{name} select piece, cast(hashes as varchar) from prints_{name} join known using ({same})"
    )
    connection.unregister("known")


def copy_sums_sql(source: Source, rows: str, sign: str = "") -> str:
    """The DuckDB statement for the sums of a relation; with the sign ``-`` they are subtracted from others."""
    hashed = f"cast(cast('0x' || substr(md5({copy_text(source)}), 1, 15) as bigint) as hugeint)"
    return f"""
        select
            {bucket_sql(source)} as bucket,
            {sign}count(*) as rows,
            {sign}cast(sum({hashed}) as decimal(38, 0)) as hashes
        from {rows}
        group by 1
    """


def known_sums_sql(connection: duckdb.DuckDBPyConnection, source: Source) -> str:
    """A statement for the sums of every Parquet file of the copy.

    A file never changes, so it is summed once. Its sums are cached beside the lake, under a name made from the file's
    name, size and time and from the statement: a night sums only new files. Sums of files that the copy no longer has
    are removed after two days.
    """
    cached = []
    for layer in ("clean", "quarantine"):
        files = lake.files(layer, source.name)
        for file, seen in zip(files, storage.find_all(files), strict=True):
            identity = f"{file} {seen and seen.mark} {copy_sums_sql(source, layer)}"
            cached.append(_cached_file(source, hashlib.sha256(identity.encode()).hexdigest()))
            if not storage.exists(cached[-1]):
                columns = (*source.columns, UNREADABLE) if layer == "quarantine" else source.columns
                rows = duck.relation([file], columns)
                if layer == "clean":
                    rows = f"(select *, null::varchar as _unreadable from {rows})"
                duck.copy(connection, copy_sums_sql(source, rows), cached[-1])
    # Old files are not removed at once: another night may be about to read them.
    since = datetime.now(UTC) - KEPT
    others = (file for file in storage.files(_cache_folder(source)) if file.path not in cached)
    storage.remove(file.path for file in others if file.written_at < since)
    nothing = "select null::varchar as bucket, 0::bigint as rows, 0::decimal(38, 0) as hashes where false"
    return f"select * from read_parquet([{', '.join(duck.quoted(file) for file in cached)}])" if cached else nothing


def copy_text(source: Source) -> str:
    """A DuckDB expression: a row as text; different rows have different texts."""
    # As Postgres sends it: microseconds since 2000-01-01.
    return _row_text(source, "printf('%016x', epoch_us({}) - 946684800000000)")


def _part(source: Source, parts: int) -> str:
    """An expression, the same in Postgres and DuckDB: the number of a row's part of the keys; null if no key."""
    key = source[source.primary_key[0]]
    if key.type is Type.INTEGER:
        return f"({key.lake_name} >> {_NEIGHBOURS}) & {parts - 1}"
    return f"substr(md5({_UTF8.format(key.lake_name)}), 1, {len(f'{parts - 1:x}')})"


def _piece_sql(source: Source) -> str:
    is_number = source[source.primary_key[0]].type is Type.INTEGER
    return _part(source, _PIECES_OF_NUMBERS if is_number else _PIECES_OF_TEXTS)


def _fingerprints_sql(source: Source, rows: str, *, any_bytes: bool = False, fractional: Collection[str] = ()) -> str:
    """The Postgres statement that sums fingerprints: piece, number of rows, sum as text."""
    key = source[source.primary_key[0]]
    values = ", ".join(
        column.type.identity_sql(f"source.{column.name}", fractional=column.name in fractional)
        for column in source.columns
    )
    readable = key.type.readable_sql(f"source.{key.name}", any_bytes=any_bytes, fractional=key.name in fractional)
    prints = f"""
        select {_piece_sql(source)} as piece, print
        from (
            select
                case when {readable} then {key.type.from_source_sql(f"source.{key.name}")} end as {key.lake_name},
                hash_record_extended(row({values}), 0) as print
            from ({rows}) as source
        ) as typed
    """
    return _grouped(prints, "prints")


def shop_pieces_sql(source: Source, typed: str) -> str:
    """The Postgres statement that sums rows: piece, number of rows, sum of hashes as text."""
    # As hexadecimal digits: arithmetic with numerics took a sixth of the statement (1.2 M rows: 3.2 s, now 2.7 s).
    text = _row_text(source, "encode(timestamptz_send({}), 'hex')")
    # Fifteen hexadecimal digits after a zero: a bigint that is never negative.
    hashed = f"('x0' || substr(md5({_UTF8.format(text)}), 1, 15))::bit(64)::bigint"
    prints = f"""
        select {_piece_sql(source)} as piece, {hashed} as print
        from ({typed}) as typed
    """
    return _grouped(prints, "hashes")


def _grouped(prints: str, name: str) -> str:
    """The Postgres statement that sums ``print`` by ``piece``: piece, number of rows, sum as text."""
    # For a union, Postgres does not estimate the number of groups. Without the union it estimates one group per key and
    # sums on a single core: 12 M rows take 4.0 s; with the union, 2.7 s on two cores.
    return f"""
        select piece, count(*) as rows, sum(print)::text as {name}
        from (
            {prints}
            union all
            select null, null where false
        ) as pieces
        group by 1
    """


def _by_bucket(connection: duckdb.DuckDBPyConnection, source: Source, pieces: str) -> Sums:
    """The sums of pieces, summed by bucket."""
    key = source[source.primary_key[0]]
    bucket = f"piece & {BUCKETS - 1}" if key.type is Type.INTEGER else f"piece[:{len(f'{BUCKETS - 1:x}')}]"
    found = connection.execute(
        f"""
        select coalesce(cast({bucket} as varchar), ''), sum(rows), sum(cast(hashes as hugeint))
        from {pieces}
        group by 1
        """
    )
    return {str(bucket): (int(rows), int(hashes)) for bucket, rows, hashes in found.fetchall()}


def _count(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    return int((connection.execute(f"select count(*) from {rows}").fetchone() or (0,))[0])


def _in_shop(statement: str) -> str:
    """The DuckDB statement that runs a statement in the shop."""
    return f"select * from postgres_query('shop', {duck.quoted(statement)})"


def _statement_digest(source: Source, typed: str) -> str:
    """A digest of both statements: cached sums are valid only for the same statements."""
    return hashlib.sha256((_fingerprints_sql(source, "") + shop_pieces_sql(source, typed)).encode()).hexdigest()


def _cache_folder(source: Source) -> str:
    return storage.in_lake("sums", source.name)


def _cached_file(source: Source, name: str) -> str:
    return storage.join(_cache_folder(source), f"{name}.parquet")


def _read_cached(file: str) -> pa.Table | None:
    """The content of a file of sums; None if it is missing or unreadable: then everything is computed."""
    try:
        # Opened once: DuckDB opens a file when it binds and when it reads, and another night may replace it in between.
        with storage.opened(file) as source:
            return parquet.read_table(source)
    except FileNotFoundError:
        return None
    except pa.ArrowException as error:
        _log.warning("%s cannot be read, so all rows are summed again: %s", file, error)
        return None


def _row_text(source: Source, instant: str) -> str:
    """A row as text, different for different rows: its columns, escaped; null is a text that no value has."""
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
