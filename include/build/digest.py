"""Whether two copies of a table are equal to the last bit: a digest of the rows, and the first row that differs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from include.contract import Column, Table, Type
from include.lake import duckdb_session as duck


def digest_of(files: Sequence[str | Path], table: Table) -> str:
    """A digest of a table's rows: equal for equal rows, whichever engine wrote them, into whichever files.

    It adds up one hash per row: rows need no order, and memory does not grow with them. Keys are unique, so no row can
    cancel another. A float is hashed as its shortest exact text, an instant as its microseconds.

    Args:
        files: Parquet files that hold the table's lake columns.
        table: what they hold.

    Returns:
        The number of rows and a sum of 64-bit hashes, as ``rows:sum``.
    """
    rows, total = _sums(_relation(files, table), table)
    return f"{rows}:{total}"


def digest_after(before: str, changes: str | None, table: Table) -> str:
    """The digest of a table after a commit.

    Args:
        before: its digest before.
        changes: the file of the rows that the commit replaced (``_old``) and wrote; None when nothing differed.
        table: what it holds.
    """
    if changes is None:
        return before
    rows, total = map(int, before.split(":"))
    for old, sign in ((True, -1), (False, 1)):
        some, sums = _sums(f"(from read_parquet({duck.quoted(changes)}) where _old = {old})", table)
        rows, total = rows + sign * some, total + sign * sums
    return f"{rows}:{total}"


def _sums(rows: str, table: Table) -> tuple[int, int]:
    text = ", ".join(_text(column) for column in table.lake_columns)
    with duck.session() as session:
        ((count, total),) = session.execute(
            f"select count(*), coalesce(sum(md5_number_upper(concat_ws('|', {text}))::hugeint), 0) from {rows}"
        ).fetchall()
    return int(count), int(total)


def first_difference(
    left: Sequence[str | Path], right: Sequence[str | Path], table: Table, names: tuple[str, str] = ("left", "right")
) -> str | None:
    """The first row, by key, and the first column in which two copies of a table differ.

    Args:
        left: Parquet files of one copy.
        right: Parquet files of the other.
        table: what they hold.
        names: what the result calls the copies.

    Returns:
        A sentence that names table, key, column and both values; None when the copies are equal.
    """
    key = [table[name].lake_name for name in table.primary_key]
    both = ", ".join(key)
    differ = " or ".join(f"{_text(one, 'l')} <> {_text(one, 'r')}" for one in table.lake_columns)
    order = ", ".join(f"coalesce(l.{name}, r.{name})" for name in key)
    with duck.session() as session:
        found = session.execute(
            f"""
            select l, r
            from (select *, true as _there from {_relation(left, table)}) l
            full join (select *, true as _there from {_relation(right, table)}) r using ({both})
            where l._there is null or r._there is null or {differ}
            order by {order}
            limit 1
            """
        ).fetchone()
    if found is None:
        return None
    one, other = ({} if row is None or not row["_there"] else row for row in found)
    where = ", ".join(f"{name} {(one or other)[name]}" for name in key)
    for row, lacking, having in ((one, names[0], names[1]), (other, names[1], names[0])):
        if not row:
            return f"{table.qualified_name}: the row with {where} is in {having}, not in {lacking}"
    column = next(name for column in table.lake_columns if repr(one[name := column.lake_name]) != repr(other[name]))
    return (
        f"{table.qualified_name}: {column} of {where} is {one[column]!r} in {names[0]}, {other[column]!r} in {names[1]}"
    )


def _relation(files: Sequence[str | Path], table: Table) -> str:
    return duck.relation([str(file) for file in files], table.lake_columns)


def _text(column: Column, of: str = "") -> str:
    """A value as text that no other value of its type has; a null as text that no value has."""
    name = f"{of}.{column.lake_name}" if of else column.lake_name
    if column.type is Type.AT:
        name = f"epoch_us({name})"
    if column.type not in (Type.TEXT, Type.UUID, Type.JSON):  # nothing to escape; most columns are of numbers
        return f"coalesce({name}::varchar, '\\0')"
    escaped = f"replace(replace({name}, '\\', '\\\\'), '|', '\\p')"
    return f"coalesce(case when contains({name}, '\\') or contains({name}, '|') then {escaped} else {name} end, '\\0')"
