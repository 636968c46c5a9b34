"""Which rows the gate checks tonight, each with its derived columns and the rules it broke.

A source's candidates are the rows that changed, the rows in quarantine (what they waited for may have arrived), and
the rows whose family changed: an order is checked with all its items, refunds and payments, or not at all. Also those
of which a derived column needs a changed row of another family (``Derived.through``), and those that name a row of
another source which was deleted, or which is there now. On a full read, every row is a candidate.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import duckdb

from include.contract import Column, Derived, Severity, Source, Table
from include.contract.families import part_links
from include.contract.source import exists_name
from include.gate import handoff
from include.lake import duckdb_session as duck
from include.lake.night_views import has_key, lacks_key, open_night, read_columns, same_key

# From so many rows on, what is looked up is computed of all rows at once. Of all of 8 M shipment items that took 34 s
# in 512 MB, which subqueries do not fit into; of few rows they read less. The bound between the two is not measured.
_JOINED_FROM: Final = 100_000


def keep_touched(
    sources: Mapping[str, Source], run: str, full: Mapping[str, bool], rechecked: Collection[str] = ()
) -> None:
    """Write the keys of the rows to check to the gate, for every source of which not all rows are checked.

    This is done once for all sources: families span several sources, so each source would compute the same.

    Args:
        sources: the shop's sources.
        run: the run that tonight's rows belong to.
        full: per source, whether this run read the whole table.
        rechecked: the sources of which every row is checked again, together with its family.
    """
    whole = {name: full[name] or name in rechecked for name in sources}
    some = [name for name, source in sources.items() if not checks_every_row(source, full=whole[name])]
    if not some:
        return
    with duck.session() as connection:
        open_night(connection, sources, run, full)
        _find_touched(connection, sources, full, rechecked)
        for name in some:
            duck.copy(connection, f"from touched_{name}", handoff.touched_file(run, name))


def _find_touched(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Source],
    full: Mapping[str, bool],
    rechecked: Collection[str],
) -> None:
    """Create ``touched_s`` for every source ``s``: the keys of its rows to check."""
    for name, source in sources.items():
        key = ", ".join(source.primary_key)
        # Deleted rows are those that a full read no longer finds, and those that the proof found deleted. Their
        # families are checked without them.
        deleted = "known" if full[name] or name in rechecked else "gone"
        connection.execute(
            f"""
            create temp table touched_{name} as
            select {key} from raw_{name}
            union
            select {key} from held_{name}
            union
            select {key} from {deleted}_{name}
            """
        )
    for source in sources.values():
        for column in source.key_columns:
            if owner := sources.get(column.key_of or ""):
                _touch_references(connection, source, column, owner, full=full[owner.name])
    for source in sources.values():
        if not checks_every_row(source, full=full[source.name] or source.name in rechecked):
            for derived in source.derived:
                for need, path in derived.through.items():
                    by_way_of = path.partition("@")[2]
                    if need in sources and (by_way_of in sources or not by_way_of):
                        _touch_dependents(connection, source, sources[need], path, sources.get(by_way_of))
    _spread_over_families(connection, sources)


def write_candidates(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Source],
    name: str,
    run: str,
    *,
    full: bool,
    rechecked: bool = False,
) -> None:
    """Write the candidates of one source to the gate: lake columns, gate columns, ``_origin`` and ``_broken``.

    Unless ``checks_every_row`` holds for the source, ``keep_touched`` has written before which rows they are.
    ``_origin`` is ``changed``, ``held`` or ``family``; ``_broken`` lists the quarantine rules the row broke.
    """
    source, chosen, rows = sources[name], "true", None
    if not checks_every_row(source, full=full or rechecked):
        file = handoff.waiting(handoff.touched_file(run, name))
        touched = f"read_parquet({duck.quoted(file)})"
        chosen = has_key(source, "row", touched)
        (rows,) = connection.execute(f"select count(*) from {touched}").fetchone() or (0,)
    joined = rows is None or rows > _JOINED_FROM
    read = [f"row.{column.lake_name}" for column in read_columns(source)]
    known = [one for one in source.derived if not one.is_late]
    last = [one for one in source.all_derived if one not in known]
    if full:
        origin = "'changed'"  # after a full read, every row is tonight's
    else:
        origin = f"""
            case
                when {has_key(source, "row", f"raw_{name}")} then 'changed'
                when {has_key(source, "row", f"held_{name}")} then 'held'
                else 'family'
            end
        """
    again = duck.repeated(f"{name} as row where {chosen}", source.primary_key)
    # Two steps: with all that is looked up joined in one, 1.7 M shipment items do not fit into 512 MB.
    candidates = f"""
        with given as materialized (
            select
                {", ".join([*read, *_derived(known, sources, joined=joined)])},
                coalesce(again._copies, 1) as _copies,
                {origin} as _origin,
                (select max(_snapshot_at) from tonight) as _snapshot_at
            from {name} as row
            left join {again} as again on {same_key(source, "row", "again")}
            {_joins(known, sources) if joined else ""}
            where {chosen}
        )
        select *, {broken_rules(source)} as _broken
        from (
            select {", ".join(["row.*", *_derived(last, sources, joined=joined)])}
            from given as row
            {_joins(last, sources) if joined else ""}
        )
    """
    duck.copy(connection, candidates, handoff.checked_file(run, name))


def checks_every_row(source: Source, *, full: bool) -> bool:
    """Whether every row of a source is checked; then the touched rows, which take a while to find, are not needed."""
    return full or source.judged_whole


def broken_rules(table: Table, severity: Severity = Severity.QUARANTINE) -> str:
    """A DuckDB expression: the names of the rules of a severity that a row breaks, as a list."""
    names = [
        f"case when {rule.broken_sql} then {duck.quoted(rule.name)} end"
        for rule in table.all_rules
        if rule.severity is severity
    ]
    return f"list_filter([{', '.join(names)}]::varchar[], lambda name: name is not null)"


def _holds_rows(connection: duckdb.DuckDBPyConnection, relation: str) -> bool:
    return connection.execute(f"select 1 from {relation} limit 1").fetchone() is not None


def _derived(columns: Sequence[Derived], sources: Mapping[str, Source], *, joined: bool) -> list[str]:
    """Derived columns as DuckDB selects them; null where a source is absent, or a wild value overflows."""
    return [
        f"try_cast({(one.sql if joined else one.whole_sql) if _can_be_derived(one, sources) else 'null'}"
        f" as {one.column.type.duckdb}) as {one.column.lake_name}"
        for one in columns
    ]


def _joins(columns: Sequence[Derived], sources: Mapping[str, Source]) -> str:
    """The joins of what derived columns look up, behind the rows."""
    lookups = {
        lookup.name: lookup.join
        for one in columns
        if _can_be_derived(one, sources)
        for lookup in one.lookups
        if lookup.named_in(one.sql)
    }
    return " ".join(lookups.values())


def _can_be_derived(derived: Derived, sources: Mapping[str, Source]) -> bool:
    return all(need in sources for need in derived.needs)


def _touch_references(
    connection: duckdb.DuckDBPyConnection, source: Source, column: Column, owner: Source, *, full: bool
) -> None:
    """Touch the rows that name a row of another source which is gone, or was not there before."""
    if full or _holds_rows(connection, f"gone_{owner.name}"):
        _touch_references_to_deleted(connection, source, column, owner)
    if not column.part_of and _holds_rows(connection, f"raw_{owner.name}"):
        _touch_references_to_new(connection, source, column, owner)


def _touch_references_to_deleted(
    connection: duckdb.DuckDBPyConnection, source: Source, column: Column, owner: Source
) -> None:
    """Touch the rows that hold the key of a deleted row."""
    key = ", ".join(f"row.{k}" for k in source.primary_key)
    connection.execute(
        f"""
        insert into touched_{source.name}
        select {key} from known_{source.name} as row
        where row.{column.name} in (
            select gone.{column.owner_key} from known_{owner.name} as gone
            where {lacks_key(owner, "gone", owner.name)}
        )
        except
        select * from touched_{source.name}
        """
    )


def _touch_references_to_new(
    connection: duckdb.DuckDBPyConnection, source: Source, column: Column, owner: Source
) -> None:
    """Touch the accepted rows whose key was of no row, and now is; one that is part of the other was held."""
    key = ", ".join(f"row.{k}" for k in source.primary_key)
    connection.execute(
        f"""
        insert into touched_{source.name}
        select {key} from clean_{source.name} as row
        where not row.{exists_name(column)}
            and row.{column.name} in (select new.{column.owner_key} from raw_{owner.name} as new)
        except
        select * from touched_{source.name}
        """
    )


def _touch_dependents(
    connection: duckdb.DuckDBPyConnection, source: Source, need: Source, path: str, way: Source | None
) -> None:
    """Touch the rows to which changed rows of another source lead, as these are now and as they were before."""
    column = path.partition("@")[0]
    key = ", ".join(f"row.{k}" for k in source.primary_key)
    changed = [
        f"select * from {rows} as changed where {has_key(need, 'changed', f'touched_{need.name}')}"
        for rows in (need.name, f"known_{need.name}")
    ]
    if way:
        held = way.primary_key[0]
        found = [
            f"select way.{column} from {rows} as way where way.{held} in (select {held} from ({some}) as changed)"
            for some in changed
            for rows in (way.name, f"known_{way.name}")
        ]
    else:
        found = [f"select {column} from ({some}) as changed" for some in changed]
    connection.execute(
        f"""
        insert into touched_{source.name}
        select {key} from {source.name} as row where row.{column} in ({" union ".join(found)})
        except
        select * from touched_{source.name}
        """
    )


def _spread_over_families(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source]) -> None:
    """Touch every row of a family that has a touched row: first up to the parents, then down to all their parts."""
    links = part_links(sources)
    for child, column, parent in reversed(links):
        parents = " union ".join(
            f"select row.{column} from {rows} as row"
            f" where row.{column} is not null and {has_key(sources[child], 'row', f'touched_{child}')}"
            for rows in (child, f"known_{child}")
        )
        connection.execute(
            f"insert into touched_{parent} select * from ({parents}) except select * from touched_{parent}"
        )
    for child, column, parent in links:
        key = ", ".join(f"row.{k}" for k in sources[child].primary_key)
        connection.execute(
            f"""
            insert into touched_{child}
            select {key} from {child} as row where row.{column} in (select * from touched_{parent})
            except
            select * from touched_{child}
            """
        )
