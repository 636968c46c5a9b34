"""What a publication changes of days that were published before: every figure, old and new, and the rows behind it.

Belongs here: which tables have days, which of their rows a publication replaced, and which rows of the shop, changed
between the two copies, bear on those. Does not: replacing them, which is ``publish``'s; its transaction records this.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import duckdb
import psycopg
from deltalake.exceptions import DeltaError
from psycopg.rows import TupleRow
from psycopg.sql import SQL

from include.contract import Column, Source, Table, Type
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.lake.integrity import blamed
from include.lake.night_views import row_key
from include.lake.rows import rows as stored_rows
from include.ledger import copies, publications
from include.ledger.runs import Run
from include.publish.live_schema import Difference
from include.settings import settings
from include.sources import shop_sources

DAY = "day"  # the column that makes a table one of days
SAMPLE = 5  # keys of rows that are named per figure and source; their number is always told


@dataclass(frozen=True)
class Watch:
    """What a publication is watched for.

    Attributes:
        until: the last day that was published before and is published now.
        tables: those with a day in their key.
        changed: of each source with rows that differ between the two copies, the columns by which they find a figure.
        is_known: whether that could be told of every source.
        new_columns: by table, the columns that were not published before, or in another type: they restate nothing.
    """

    until: date | None = None
    tables: Sequence[Table] = ()
    changed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    is_known: bool = True
    new_columns: Mapping[str, Collection[str]] = field(default_factory=dict)

    def keeping(self, table: Table, side: str, statement: str, row: str = "") -> str:
        """A statement that does the same and keeps the rows it deletes (``old``) or inserts (``new``) of a table.

        Args:
            table: the table.
            side: ``old`` or ``new``.
            statement: a delete or an insert.
            row: what the statement calls a row, with a dot.
        """
        if table not in self.tables:
            return statement
        names = [column.name for column in table.columns]
        returned = ", ".join(f"{row}{name}" for name in names)
        return (
            f"with changed as ({statement} returning {returned})"
            f" insert into {_kept(table, side)} select {', '.join(names)} from changed"
        )


def watch(run: Run, differs: Iterable[Difference]) -> Watch:
    """Find out what a run's publication may restate; stage the rows of the shop that may be why.

    Args:
        run: a night, or one that puts one back; not published yet.
        differs: what of its live tables is not as declared. A table, a grain or a column that was not published before
            restates nothing.

    Returns:
        A watch on no table where nothing was published before.

    Raises:
        duckdb.Error: when the warehouse or the lake cannot be read.
    """
    differs = list(differs)
    live = publications.live_copy(run, [one.table for one in differs])
    compared = [one for one in differs if not (one.missing or one.key)]
    if live and run.kind.builds_some_tables:
        compared = [one for one in compared if one.table.qualified_name in live.tables]  # the others are new
    days = [one.table for one in compared if DAY in one.table.primary_key and one.table[DAY].type is Type.DAY]
    new_columns = {one.table.name: {*one.added, *one.retyped} for one in compared}
    if live is None or not days:
        return Watch()
    before, after, sources = live.versions, copies.clean_versions(run.run_id), shop_sources(settings().sources)
    wanted = {name: table[name] for table in days for name in table.primary_key if name != DAY}
    changed: dict[str, Sequence[str]] = {}
    is_known = True
    with duck.session() as session:
        duck.attach(session, "warehouse", settings().warehouse_url, read_only=False)
        for name in sources:
            pinned = (before.get(name), after.get(name))
            is_known = _find_changed(session, sources[name], *pinned) and is_known
        for name, source in sources.items():
            if session.execute(f"select 1 from changed_{name} limit 1").fetchone():
                changed[name] = _stage_changed(session, source, sources, after, wanted)
    return Watch(min(live.horizon, run.horizon), days, changed, is_known, new_columns)


def keep(connection: psycopg.Connection[TupleRow], watched: Watch) -> None:
    """Make room for the rows that are replaced; it goes with the transaction."""
    for table in watched.tables:
        names = ", ".join(column.name for column in table.columns)
        for side in ("old", "new"):
            connection.execute(
                SQL(
                    f"create temp table {_kept(table, side)} on commit drop as"
                    f" select {names} from {table.qualified_name} with no data"
                )
            )


def record(connection: psycopg.Connection[TupleRow], watched: Watch, publication_id: int) -> None:
    """Enter every figure of an earlier day that the publication changed, after its tables were replaced."""
    for table in watched.tables:
        new = watched.new_columns.get(table.name, ())
        key, metrics = ", ".join(table.primary_key), [name for name in _metrics(table) if name not in new]
        if not metrics:
            continue
        both = f"{_kept(table, 'old')} as old full join {_kept(table, 'new')} as new using ({key})"
        old, new = (f"({', '.join(f'{side}.{name}' for name in metrics)})" for side in ("old", "new"))
        # Postgres takes a table that it has not looked at for a small one, and joins a large one row by row.
        connection.execute(SQL(f"analyze {_kept(table, 'old')}, {_kept(table, 'new')}"))
        restated = connection.execute(
            SQL(
                f"create temp table restated_{table.name} on commit drop as"
                f" select {key}, to_jsonb(old) as old, to_jsonb(new) as new from {both}"
                f" where {DAY} <= %s and {old} is distinct from {new}"
            ),
            [watched.until],
        ).rowcount
        if not restated:
            continue
        _find_causes(connection, table, watched)
        values = ", ".join(
            f"('{name}', nullif(old -> '{name}', 'null'), nullif(new -> '{name}', 'null'))" for name in metrics
        )
        others = ", ".join(f"'{name}', {name}" for name in table.primary_key if name != DAY)
        connection.execute(
            SQL(
                f"""
                insert into audit.restatements
                    (publication_id, schema_name, table_name, day, row_key, metric, old_value, new_value, causes)
                select
                    %(publication)s, '{table.schema}', '{table.name}', {DAY}, jsonb_build_object({others}),
                    metric.name, metric.old_value, metric.new_value,
                    coalesce(why.causes, case when %(known)s then '{{}}'::jsonb end)
                from restated_{table.name}
                left join why_{table.name} as why using ({key})
                cross join lateral (values {values}) as metric (name, old_value, new_value)
                where metric.old_value is distinct from metric.new_value
                """
            ),
            {"publication": publication_id, "known": watched.is_known},
        )


def _find_causes(connection: psycopg.Connection[TupleRow], table: Table, watched: Watch) -> None:
    """Create ``why_…``: per restated row, of every source how many changed rows bear on it, and some of their keys.

    Those count that have the figure's own day and keys. Where there are none: for a figure of, say, a product, those
    of the same product from earlier days (stock is carried on); for one of the whole shop, those that share, say, the
    customer with a row of that day (whose first order it may have become).
    """
    name, key = table.name, table.primary_key
    columns = ", ".join(f"{one} {table[one].type.postgres}" for one in key)
    connection.execute(
        SQL(
            f"create temp table causes_of_{name} ({columns}, source text, level int, rows bigint, keys text[])"
            f" on commit drop; create index on causes_of_{name} ({', '.join(key)}); analyze restated_{name}"
        )
    )
    row = connection.execute(
        "select sources from audit.tables where schema_name = %s and table_name = %s", [table.schema, name]
    ).fetchone()
    of_something = any(table[one].key_of for one in key)
    sources = sorted(set(watched.changed) & set(row[0] if row else ()))
    for source in sources:
        shared = [one for one in key if one in watched.changed[source]]
        _enter_causes(connection, table, source, 1, ("not related", shared))
    for source in sources:
        shared = [one for one in key if one in watched.changed[source]]
        if not of_something:
            _enter_causes(connection, table, source, 2, ("related", []))
        elif any(table[one].key_of for one in shared):
            _enter_earlier_causes(connection, table, source, shared)
    connection.execute(
        SQL(
            f"create temp table why_{name} on commit drop as select {', '.join(key)},"
            " jsonb_object_agg(source, jsonb_build_object('rows', rows, 'keys', keys)) as causes"
            f" from causes_of_{name} group by {', '.join(key)}; analyze why_{name}"
        )
    )


def _enter_causes(
    connection: psycopg.Connection[TupleRow], table: Table, source: str, level: int, by: tuple[str, Sequence[str]]
) -> None:
    """Enter the changed rows of a source that have a figure's own day: which of them, and what else they share."""
    which, shared = by
    key = ", ".join(f"restated.{one}" for one in table.primary_key)
    same = "".join(f" and changed.{one} = restated.{one}" for one in shared)
    connection.execute(
        SQL(
            f"""
            insert into causes_of_{table.name} ({", ".join(table.primary_key)}, source, level, rows, keys)
            select
                {key}, %(source)s, %(level)s, count(distinct changed.row_key),
                (array_agg(distinct changed.row_key order by changed.row_key))[1:{SAMPLE}]
            from restated_{table.name} as restated
            join {_staged(source)} as changed on changed.{DAY} = restated.{DAY} and {which}{same}
            where {_not_explained(table, level)}
            group by {key}
            """
        ),
        {"source": source, "level": level},
    )


def _enter_earlier_causes(
    connection: psycopg.Connection[TupleRow], table: Table, source: str, shared: Sequence[str]
) -> None:
    """Enter the changed rows of a source with a figure's keys, of its day and all before; the latest are named.

    They are counted as they follow each other, once per row: joined with each day behind them they would be as many as
    the square of a past that changed as a whole.
    """
    name, keys = f"counted_{table.name}_{source}", ", ".join(shared)
    connection.execute(
        SQL(
            f"""
            create temp table {name} on commit drop as
            select
                {keys}, since, count(*) over rows_so_far as rows,
                array_agg(row_key) over (rows_so_far rows between {SAMPLE - 1} preceding and current row) as keys
            from (
                select {keys}, row_key, min(coalesce({DAY}, '-infinity')) as since
                from {_staged(source)} where not related group by {keys}, row_key
            ) as changed
            window rows_so_far as (partition by {keys} order by since, row_key);
            create index on {name} ({keys}, since, rows);
            analyze {name}
            """
        )
    )
    same = "".join(f"counted.{one} = restated.{one} and " for one in shared)
    connection.execute(
        SQL(
            f"""
            insert into causes_of_{table.name} ({", ".join(table.primary_key)}, source, level, rows, keys)
            select
                {", ".join(f"restated.{one}" for one in table.primary_key)}, %(source)s, 2, earlier.rows,
                array(select unnest(earlier.keys) as one order by one)
            from restated_{table.name} as restated
            cross join lateral (
                select rows, keys from {name} as counted
                where {same}since <= restated.{DAY} order by since desc, rows desc limit 1
            ) as earlier
            where {_not_explained(table, 2)}
            """
        ),
        {"source": source, "level": 2},
    )


def _not_explained(table: Table, level: int) -> str:
    """A predicate: no cause of a lower level was found for a restated row."""
    same = " and ".join(f"found.{one} = restated.{one}" for one in table.primary_key)
    return f"not exists (select from causes_of_{table.name} as found where found.level < {level} and {same})"


def _find_changed(session: duckdb.DuckDBPyConnection, source: Source, before: int | None, after: int | None) -> bool:
    """Create ``changed_…``: a source's rows that differ between two versions of its copy, as they were and as they are.

    Returns:
        Whether that can be told.
    """
    name, columns = source.name, source.lake_columns
    names = ", ".join(column.lake_name for column in columns)
    nothing = f"create view changed_{name} as from {duck.relation([], columns)}"
    if before == after:
        session.execute(nothing)
        return True
    if before is None or after is None:
        session.execute(nothing)
        return False
    try:
        files = lake.changes("clean", name, *sorted((before, after)))
    except DeltaError:  # the later of the two is not in the lake any more
        files = None
    if files is not None:
        session.execute(f"create view changed_{name} as select * from {duck.relation(files, columns)}")
        return True
    if any(lake.columns("clean", name, version) is None for version in (before, after)):
        session.execute(nothing)
        return False
    try:
        with blamed():
            old, new = (
                f"select {names} from {stored_rows('clean', name, columns, version)}" for version in (before, after)
            )
            session.execute(
                f"create table changed_{name} as (({old}) except ({new})) union all (({new}) except ({old}))"
            )
    except lake.Damaged:  # such as the one that a full refresh replaces
        session.execute(nothing)
        return False
    return True


def _stage_changed(
    session: duckdb.DuckDBPyConnection,
    source: Source,
    sources: Mapping[str, Source],
    versions: Mapping[str, int],
    wanted: Mapping[str, Column],
) -> list[str]:
    """Stage a source's changed rows with their days and the keys that a figure may have.

    Args:
        session: with the warehouse attached, and every source's changed rows.
        source: the source.
        sources: all of them.
        versions: of their copies.
        wanted: the key columns of the tables of days.

    Returns:
        Those of ``wanted`` that a row has, itself or in the row it is a part of, or in its parts.
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
    keys = "".join(f", {wanted[name].type.to_warehouse_sql(name)} as {name}" for name in found)
    columns = "".join(f", {name} {wanted[name].type.postgres}" for name in found)
    session.execute(
        f"create table warehouse.{_staged(source.name)} (row_key text, {DAY} date, related boolean{columns})"
    )
    insert = f"insert into warehouse.{_staged(source.name)} by name"
    as_date = Type.DAY.to_warehouse_sql("_day")
    session.execute(
        f"{insert} select distinct _key as row_key, {as_date} as {DAY}, false as related{keys}"
        f" from (select *, {row_key(source)} as _key, {day} as _day from changed_{source.name}){joins}"
    )
    shared = [one.name for one in source.key_columns if not one.part_of and one.name not in wanted]
    for column in shared if days else ():
        session.execute(
            f"{insert} select distinct row._key as row_key, {as_date} as {DAY}, true as related"
            f" from (select {row_key(source)} as _key, {column} from changed_{source.name}) as row"
            f" join (select {column}, {day} as _day from {_all_rows(source, versions)}) using ({column})"
        )
    return found


def _relatives(source: Source, sources: Mapping[str, Source]) -> list[tuple[Source, str]]:
    """The sources whose rows a row belongs to, or that belong to it, and the column that both have."""
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
    """A relation of a source's rows as they are, and of changed ones as they were too."""
    known = source.name in versions
    rows = (
        stored_rows("clean", source.name, source.lake_columns, versions[source.name])
        if known
        else duck.relation([], source.lake_columns)
    )
    return f"(from {rows} union all by name from changed_{source.name})"


def _metrics(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.name not in table.primary_key]


def _kept(table: Table, side: str) -> str:
    return f"{side}_{table.name}"


def _staged(source: str) -> str:
    return f"staging.changed_{source}"
