"""The shop's rows that changed between two copies, staged in the warehouse: possible causes of a changed figure.

Belongs here: finding them in the lake, and staging them with their days and keys. Does not: which of them explain which
figure (``causes``).
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
from deltalake.exceptions import DeltaError

from include.contract import Column, Source, Type
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.lake.integrity import blamed
from include.lake.night_views import row_key
from include.lake.rows import rows as stored_rows


def staged(source: str) -> str:
    """The table of a source's changed rows: row_key, day, related, and the keys that a figure may have.

    A ``related`` row did not change: it shares, say, the customer with a changed row, whose key is in ``row_key``.
    """
    return f"staging.changed_{source}"


def find_changed(session: duckdb.DuckDBPyConnection, source: Source, before: int | None, after: int | None) -> bool:
    """Create ``changed_…``: a source's rows that differ between two versions of its copy, the old and the new ones.

    Returns:
        Whether the difference is known; if not, ``changed_…`` is empty.
    """
    name, columns = source.name, source.lake_columns
    nothing = f"create view changed_{name} as from {duck.relation([], columns)}"
    if before == after:
        session.execute(nothing)
        return True
    if before is None or after is None:
        session.execute(nothing)
        return False
    try:
        files = lake.changes("clean", name, *sorted((before, after)))
    except DeltaError:  # the lake no longer has the later version
        files = None
    if files is not None:
        session.execute(f"create view changed_{name} as select * from {duck.relation(files, columns)}")
        return True
    try:
        if any(lake.columns("clean", name, version) is None for version in (before, after)):
            session.execute(nothing)
            return False
        with blamed():
            _compare_versions(session, source, before, after)
    except lake.Damaged:  # for example the copy that a full refresh replaces
        session.execute(nothing)
        return False
    return True


def _compare_versions(session: duckdb.DuckDBPyConnection, source: Source, before: int, after: int) -> None:
    names = ", ".join(column.lake_name for column in source.lake_columns)
    old, new = (
        f"select {names} from {stored_rows('clean', source.name, source.lake_columns, version)}"
        for version in (before, after)
    )
    session.execute(
        f"""
        create table changed_{source.name} as
        (({old}) except ({new})) union all (({new}) except ({old}))
        """
    )


def stage_changed(
    session: duckdb.DuckDBPyConnection,
    source: Source,
    sources: Mapping[str, Source],
    versions: Mapping[str, int],
    wanted: Mapping[str, Column],
) -> list[str]:
    """Stage a source's changed rows with their days and the keys that a figure may have.

    Args:
        session: a session with the warehouse attached, and ``changed_…`` of every source.
        source: the source.
        sources: all sources.
        versions: the versions of their copies.
        wanted: the key columns of the tables by day.

    Returns:
        The columns of ``wanted`` that a row has, or its parent row, or its parts.
    """
    own = {column.lake_name for column in source.lake_columns}
    found, joins = [name for name in wanted if name in own], ""
    for other, column in _relatives(source, sources):
        theirs = {one.lake_name for one in other.lake_columns}
        more = [name for name in wanted if name not in found and name in theirs]
        if more:
            rows = _all_rows(other, versions)
            joins += f" left join (select distinct {', '.join([column, *more])} from {rows}) using ({column})"
            found += more
    days = [*([source.begins] if source.begins else []), *source.later]
    day = f"unnest(list_distinct([{', '.join(days)}]))" if days else "cast(null as bigint)"
    keys = "".join(f", {wanted[name].to_warehouse_sql(name)} as {name}" for name in found)
    columns = "".join(f", {name} {wanted[name].postgres}" for name in found)
    target = f"warehouse.{staged(source.name)}"
    changed, as_date = f"changed_{source.name}", Type.DAY.to_warehouse_sql("_day")
    session.execute(f"create table {target} (row_key text, day date, related boolean{columns})")
    session.execute(
        f"""
        insert into {target} by name
        select distinct _key as row_key, {as_date} as day, false as related{keys}
        from (select *, {row_key(source)} as _key, {day} as _day from {changed})
        {joins}
        """
    )
    shared = [one.name for one in source.key_columns if not one.part_of and one.name not in wanted]
    for column in shared if days else ():
        session.execute(
            f"""
            insert into {target} by name
            select distinct row._key as row_key, {as_date} as day, true as related
            from (select {row_key(source)} as _key, {column} from {changed}) as row
            join (select {column}, {day} as _day from {_all_rows(source, versions)}) using ({column})
            """
        )
    return found


def _relatives(source: Source, sources: Mapping[str, Source]) -> list[tuple[Source, str]]:
    """The sources of a row's parent and of its parts, each with the column that both sides have."""
    above = [
        (sources[one.key_of], one.name)
        for one in source.columns
        if one.part_of and one.key_of and one.key_of in sources
    ]
    below = [
        (other, one.name) for other in sources.values() for one in other.columns
        if one.part_of and one.key_of == source.name
    ]  # fmt: skip
    return above + below


def _all_rows(source: Source, versions: Mapping[str, int]) -> str:
    """A relation of a source's current rows and of its changed rows, old and new."""
    known = source.name in versions
    rows = (
        stored_rows("clean", source.name, source.lake_columns, versions[source.name])
        if known
        else duck.relation([], source.lake_columns)
    )
    return f"(from {rows} union all by name from changed_{source.name})"
