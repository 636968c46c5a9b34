"""Which rows the gate judges tonight, each with its derived columns and the rules it broke.

A source's candidates are the rows that changed, the rows in quarantine (what they waited for may have come), and the
rows whose family changed: an order is judged with all its items and refunds, or not at all. On a full read they are
the whole table.

In the DuckDB session of a night stand, for every source ``s`` of the shop:
    raw_s    the rows of this run;
    clean_s  the rows accepted before;
    held_s   the rows in quarantine before;
    known_s  both of these;
    gone_s   the keys that the completeness proof found deleted;
    s        the shop's table as of tonight's snapshot: tonight's rows, and the known ones that they neither replace
             nor delete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from include import duck, lake
from include.contract import Column, Derived, Severity, Source, Table, Type
from include.ledger.copies import Found
from include.validate import gate

UNREADABLE = Column("_unreadable", Type.TEXT, "Source values that the lake cannot hold, as text.", nullable=True)


def open_night(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Source],
    run: str,
    full: Mapping[str, bool],
    found: Found | None = None,
) -> None:
    """Create the views of the night (see the module's docstring).

    Args:
        connection: a session of ``include.duck``.
        sources: the shop's sources.
        run: the run whose rows are tonight's.
        full: per source, whether this run read all of it.
        found: the versions of clean and quarantine that were there before; the latest where nothing is said.
    """
    for name, source in sources.items():
        read = read_columns(source)
        names = ", ".join(column.lake_name for column in read)
        layers = {
            "raw": duck.relation(lake.files("raw", name, run=run), read),
            "clean": duck.relation(_known_files("clean", name, found), source.lake_columns),
            "held": duck.relation(_known_files("quarantine", name, found), (*source.lake_columns, UNREADABLE)),
            "gone": duck.relation(lake.files("gone", name, run=run), [source[key] for key in source.primary_key]),
        }
        for layer, rows in layers.items():
            connection.execute(f"create or replace view {layer}_{name} as select * from {rows}")
        connection.execute(
            f"create or replace view known_{name} as"
            f" select *, null::varchar as _unreadable from clean_{name} union all by name select * from held_{name}"
        )
        unchanged = (
            f"select {names} from known_{name} as old where {_absent(source, 'old', f'raw_{name}')}"
            f" and {_absent(source, 'old', f'gone_{name}')}"
        )
        connection.execute(
            f"create or replace view {name} as select {names} from raw_{name}"
            + ("" if full[name] else f" union all by name {unchanged}")
        )


def _known_files(layer: str, name: str, found: Found | None) -> Sequence[str]:
    """The files of a layer: of the version that was there before, of which there may have been none; or the latest."""
    if not found or name not in found:
        return lake.files(layer, name)
    version = found[name][layer]
    return [] if version is None else lake.files(layer, name, version)


def keep_touched(sources: Mapping[str, Source], run: str, full: Mapping[str, bool]) -> None:
    """Keep at the gate, for every source, the keys of the rows to judge, where not all of them are.

    Once for all sources: families spread over them, and each would come to the same.

    Args:
        sources: the shop's sources.
        run: the run whose rows are tonight's.
        full: per source, whether this run read all of it.
    """
    some = [name for name, source in sources.items() if not is_judged_whole(source, full=full[name])]
    if not some:
        return
    with duck.session() as connection:
        open_night(connection, sources, run, full)
        _find_touched(connection, sources, full)
        for name in some:
            gate.leave(connection, f"from touched_{name}", gate.touched_file(run, name))


def _find_touched(
    connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source], full: Mapping[str, bool]
) -> None:
    """Create ``touched_s`` for every source."""
    for name, source in sources.items():
        key = ", ".join(source.primary_key)
        # What a full read no longer finds was deleted, as what the proof found; its family is judged without it.
        deleted = f" union select {key} from {'known' if full[name] else 'gone'}_{name}"
        connection.execute(
            f"create temp table touched_{name} as"
            f" select {key} from raw_{name} union select {key} from held_{name}{deleted}"
        )
    for source in sources.values():
        for column in source.key_columns:
            owner = column.key_of or ""
            if owner in sources and (full[owner] or _holds_rows(connection, f"gone_{owner}")):
                _touch_orphans(connection, source, column, sources[owner])
    _spread_over_families(connection, sources)


def write_candidates(
    connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source], name: str, run: str, *, full: bool
) -> None:
    """Leave the candidates of one source at the gate: lake columns, gate columns, ``_origin`` and ``_broken``.

    Unless the source ``is_judged_whole``, which they are was kept before. ``_origin`` is ``changed``, ``held`` or
    ``family``; ``_broken`` lists the quarantine rules the row broke.
    """
    source, chosen = sources[name], "true"
    if not is_judged_whole(source, full=full):
        touched = f"read_parquet({duck.quoted(str(gate.waiting(gate.touched_file(run, name))))})"
        chosen = present(source, "row", touched)
    derived = [f"{_derived(d, sources)} as {d.column.lake_name}" for d in source.all_derived]
    copies = f"count(*) over (partition by {', '.join(f'row.{k}' for k in source.primary_key)}) as _copies"
    # Of a source that was read whole every row is tonight's.
    origin = (
        "'changed' as _origin"
        if full
        else f"case when {present(source, 'row', f'raw_{name}')} then 'changed'"
        f" when {present(source, 'row', f'held_{name}')} then 'held' else 'family' end as _origin"
    )
    read = [f"row.{column.lake_name}" for column in read_columns(source)]
    snapshot = "(select max(_snapshot_at) from tonight) as _snapshot_at"
    rows = f"select {', '.join([*read, *derived, copies, origin, snapshot])} from {name} as row where {chosen}"
    judged = f"select *, {broken_rules(source)} as _broken from ({rows})"
    gate.leave(connection, judged, gate.judged_file(run, name))


def is_judged_whole(source: Source, *, full: bool) -> bool:
    """Whether every row of a source is judged: then nobody asks which rows were touched, which takes a while to say."""
    return full or source.judged_whole


def broken_rules(table: Table, severity: Severity = Severity.QUARANTINE) -> str:
    """A DuckDB expression: the names of the rules of a severity that a row breaks, as a list."""
    names = [
        f"case when {rule.broken_sql} then {duck.quoted(rule.name)} end"
        for rule in table.all_rules
        if rule.severity is severity
    ]
    return f"list_filter([{', '.join(names)}]::varchar[], lambda name: name is not null)"


def same_key(source: Source, left: str, right: str) -> str:
    """A predicate: two rows carry the same key (a missing key is like a missing key)."""
    return " and ".join(f"{left}.{k} is not distinct from {right}.{k}" for k in source.primary_key)


def present(source: Source, row: str, relation: str) -> str:
    """A predicate: some row of a relation carries the same key as this one."""
    return f"exists (select 1 from {relation} as other where {same_key(source, row, 'other')})"


def read_columns(source: Source) -> tuple[Column, ...]:
    """What is read of a source: its columns, and what of them the lake cannot hold."""
    return (*source.columns, UNREADABLE)


def _holds_rows(connection: duckdb.DuckDBPyConnection, relation: str) -> bool:
    return connection.execute(f"select 1 from {relation} limit 1").fetchone() is not None


def _absent(source: Source, row: str, relation: str) -> str:
    return f"not {present(source, row, relation)}"


def _derived(derived: Derived, sources: Mapping[str, Source]) -> str:
    if all(need in sources for need in derived.needs):
        return f"try_cast({derived.sql} as {derived.column.type.duckdb})"  # null where a wild value overflows
    return f"cast(null as {derived.column.type.duckdb})"


def _touch_orphans(connection: duckdb.DuckDBPyConnection, source: Source, column: Column, owner: Source) -> None:
    """Touch the rows that hold the key of a row that was deleted; both key columns are called the same."""
    key = ", ".join(f"row.{k}" for k in source.primary_key)
    connection.execute(
        f"insert into touched_{source.name} select {key} from known_{source.name} as row where row.{column.name} in"
        f" (select gone.{column.name} from known_{owner.name} as gone where {_absent(owner, 'gone', owner.name)})"
        f" except select * from touched_{source.name}"
    )


def _spread_over_families(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source]) -> None:
    """Touch every row of every family that has a touched row: first up to the parents, then down to all their parts."""
    links = part_links(sources)
    for child, column, parent in reversed(links):
        parents = " union ".join(
            f"select row.{column} from {rows} as row where {present(sources[child], 'row', f'touched_{child}')}"
            for rows in (child, f"known_{child}")
        )
        connection.execute(
            f"insert into touched_{parent} select * from ({parents}) except select * from touched_{parent}"
        )
    for child, column, parent in links:
        key = ", ".join(f"row.{k}" for k in sources[child].primary_key)
        connection.execute(
            f"insert into touched_{child} select {key} from {child} as row"
            f" where row.{column} in (select * from touched_{parent}) except select * from touched_{child}"
        )


def part_links(sources: Mapping[str, Source]) -> Sequence[tuple[str, str, str]]:
    """(source, its column, the source it is part of), parents before their parts."""
    links = [
        (name, column.name, column.key_of)
        for name, source in sources.items()
        for column in source.columns
        if column.part_of and column.key_of and column.key_of in sources
    ]
    children = {child: parent for child, _, parent in links}

    def depth(name: str) -> int:
        return 1 + depth(children[name]) if name in children else 0

    return sorted(links, key=lambda link: depth(link[0]))
