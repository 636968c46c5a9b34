"""Incremental selection: the values that changed inputs touch, and the input rows needed to compute them again.

Belongs here: whether a table can be built incrementally from an earlier build, and what changed since. Does not: what a
table depends on (``Rebuild`` in its declaration), and how it is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from include.contract import Carried, Rebuild, Source, Table
from include.contract.source import VERSIONS
from include.contract.types import day_number
from include.lake import duckdb_session as duck
from include.lake import storage
from include.lake import tables as lake
from include.ledger.builds import Build

TOUCHED = "touched"  # the relation of touched values, with one column: value


@dataclass(frozen=True)
class Inputs:
    """The inputs of a build: for each of its parameters, a table's layer and name, and its version."""

    tables: Mapping[str, tuple[str, str]]
    versions: Mapping[str, int]

    def files(self, parameter: str) -> list[str]:
        """The Parquet files of an input."""
        return lake.files(*self.tables[parameter], self.versions[parameter])

    @property
    def all_files(self) -> dict[str, list[str]]:
        """The Parquet files of every input, by parameter."""
        return {parameter: self.files(parameter) for parameter in self.tables}

    @property
    def by_table(self) -> dict[str, int]:
        """The versions by ``layer.name``, as the ledger stores them."""
        return {".".join(self.tables[parameter]): version for parameter, version in self.versions.items()}


def find_touched(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    inputs: Inputs,
    base: Build,
    horizon: date,
    sources: Mapping[str, Source],
) -> bool:
    """Create ``touched``: the values of the table's rebuild column whose rows may have changed.

    Args:
        connection: a session of ``include.lake.duckdb_session``.
        table: the table, rebuilt ``by`` a column, through its inputs.
        inputs: what this build reads.
        base: the earlier build.
        horizon: the data-through date of this build, the last whole business day.
        sources: the shop's sources; a build does not see events after its horizon.

    Returns:
        Whether the change feed is complete; otherwise the table needs a full build.
    """
    through = table.rebuild.through
    if not through or set(inputs.tables) != set(through):
        return False
    if table.rebuild.daily and horizon != base.horizon and not table.rebuild.carried:
        return False
    for parameter in through:
        layer, name = inputs.tables[parameter]
        since, stored = base.inputs.get(f"{layer}.{name}"), inputs.files(parameter)
        changed = None if since is None else lake.changes(layer, name, since, inputs.versions[parameter])
        if changed is None or not (stored or layer == "clean"):
            return False
        source = _source(sources, name) if layer == "clean" else None
        rows = _parquet(stored) if stored or not source else duck.relation(stored, source.lake_columns)
        connection.execute(f"create view all_{parameter} as select * from {rows}")
        shown = _newly_shown(source, base.horizon, horizon) if source else "false"
        also = f" union all by name select * exclude (_old) from {_parquet(changed)}" if changed else ""
        connection.execute(f"create view changed_{parameter} as select * from all_{parameter} where {shown}{also}")
    values = []
    for parameter, paths in through.items():
        for path in paths:
            column, _, other = path.partition("@")
            where = _before_new_days(table, parameter, base, horizon)
            found = f"select {column} as value from changed_{parameter} as row where {where}"
            values += [] if other else [found]
            # Not a join: of a customer with many orders, many may have changed.
            sharing = f"where {column} in ({found})"
            values += [f"select {own} as value from all_{other} {sharing}" for own in table.rebuild.own(other)]
    values += _filled(table, base, horizon)
    connection.execute(
        f"""
        create table {TOUCHED} as
        select distinct value from ({" union all ".join(values)}) as found where value is not null
        """
    )
    return True


def _source(sources: Mapping[str, Source], name: str) -> Source:
    """A source by its name in lake/clean, or the versions of one."""
    return sources[name.removesuffix(VERSIONS)].versions if name.endswith(VERSIONS) else sources[name]


def within(table: Table, base: Build, horizon: date) -> str:
    """A predicate over a table's lake columns: the rows to compute again. It reads ``touched``."""
    touched = _is_touched(table.rebuild.column or "")
    carried = _carried(table, base, horizon)
    return f"({touched} or {carried.day} >= {day_number(base.horizon)})" if carried else touched


def write_needed_rows(
    connection: duckdb.DuckDBPyConnection, table: Table, base: Build, horizon: date, folder: str
) -> dict[str, list[str]]:
    """Write the input rows needed to compute the rows ``within``; as sums where new days only continue from them.

    Returns:
        The file of each of the build's parameters.
    """
    files, carried = {}, _carried(table, base, horizon)
    for parameter in table.rebuild.through:
        file = storage.join(folder, "inputs", f"{parameter}.parquet")
        rows = f"select * from all_{parameter} where {_is_needed(table.rebuild, parameter)}"
        if carried:
            rows = (
                _with_opening_sums(table, carried, base)
                if parameter == carried.moves
                else f"select * from all_{parameter}"
            )
        duck.copy(connection, rows, file)
        files[parameter] = [file]
    return files


def _is_touched(column: str) -> str:
    """A predicate: the column holds a touched value."""
    return f"{column} in (from {TOUCHED})"


def _carried(table: Table, base: Build, horizon: date) -> Carried | None:
    """How new days continue from the earlier build; None where there are no new days."""
    return table.rebuild.carried if horizon != base.horizon else None


def _before_new_days(table: Table, parameter: str, base: Build, horizon: date) -> str:
    """A predicate: a changed ``row`` of an input affects days before the new ones, which are computed anyway."""
    carried = _carried(table, base, horizon)
    if carried and parameter == carried.moves:
        return f"row.{carried.moved_on} <= {day_number(base.horizon)}"
    return "false" if carried and parameter in carried.last_day else "true"


def _with_opening_sums(table: Table, carried: Carried, base: Build) -> str:
    """A query for the movements: all rows of touched values; of other values the new days, and the sums before them.

    The sums are dated on the day before the first new day. The last day of the earlier build counts as new, because
    what applied to it as the last day no longer does.
    """
    rows, since, per = f"all_{carried.moves}", day_number(base.horizon), ", ".join(carried.per)
    touched = _is_touched(table.rebuild.column or "")
    return f"""
        select * from {rows}
        where {touched} or {carried.moved_on} >= {since}
        union all by name
        select
            {per},
            {since - 1} as {carried.moved_on},
            cast(sum({carried.quantity}) as bigint) as {carried.quantity}
        from {rows}
        where not {touched} and {carried.moved_on} < {since}
        group by {per}
    """


def _is_needed(rebuild: Rebuild, parameter: str) -> str:
    """A predicate: a touched value needs this row of an input."""
    found = []
    for path in rebuild.through[parameter]:
        column, _, other = path.partition("@")
        if other:
            rows = " or ".join(map(_is_touched, rebuild.own(other)))
            found.append(f"{column} in (select {column} from all_{other} where {rows})")
        else:
            found.append(_is_touched(column))
    for group, _, opening in (one.partition("@") for one in rebuild.filled):
        if opening != parameter:
            continue
        # A group's first row is always needed: its day decides which days the group has.
        day = rebuild.own(parameter)[0]
        found.append(f"({group}, {day}) in (select ({group}, min({day})) from all_{parameter} group by {group})")
    return " or ".join(found)


def _filled(table: Table, base: Build, horizon: date) -> list[str]:
    """Queries for the days that a filled table gains or loses without a changed row: new days, and moved beginnings.

    A group that begins earlier than before gains days; one that begins later loses days.
    """
    if not table.rebuild.filled:
        return []
    group, after, opening_rows = table.rebuild.filled[0].partition("@")[0], day_number(horizon) + 1, []
    for opening in (one.partition("@")[2] for one in table.rebuild.filled):
        day = table.rebuild.own(opening)[0]
        opening_rows.append(f"select {group}, {day} as day from all_{opening} where {day} < {after}")
    stored = lake.files(table.schema, table.name, base.version)
    before = duck.relation(stored, [table[group], table[table.rebuild.column or ""]])
    new_days = f"select unnest(range({day_number(base.horizon) + 1}, {after})) as value"
    moved_beginnings = f"""
        (
            with old as (
                select {group}, min({table.rebuild.column}) as day from {before} group by {group}
            ),
            new as (
                select {group}, min(day) as day from ({" union all ".join(opening_rows)}) as rows group by {group}
            ),
            beginnings as (
                select coalesce(old.day, {after}) as old_day, coalesce(new.day, {after}) as new_day
                from old full join new using ({group})
            )
            select unnest(range(least(old_day, new_day), greatest(old_day, new_day))) as value
            from beginnings
        )
    """
    return [new_days, moved_beginnings]


def _parquet(files: Sequence[str]) -> str:
    return f"read_parquet([{', '.join(duck.quoted(file) for file in files)}])"


def _newly_shown(source: Source, base: date, horizon: date) -> str:
    """A predicate: a row read before has an event after the base's data-through date, and not after ours."""
    days = [*([source.begins] if source.begins else []), *source.later]
    known = [f"{day} > {day_number(base)} and {day} <= {day_number(horizon)}" for day in days]
    return " or ".join(known) or "false"
