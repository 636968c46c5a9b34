"""The outcome of every checked row: the rules it broke itself and those its family broke; and each source's counts."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from include.contract import Source
from include.contract.families import part_links
from include.gate import handoff
from include.lake import duckdb_session as duck
from include.lake.night_views import same_key


class NightStopped(RuntimeError):
    """The gate does not let this night be published; the message names tables, rules and rows."""


def load_checked_rows(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source], run: str) -> None:
    """Create ``checked_s`` for every source ``s``: the checked rows with the rules that they and their families broke.

    A view: the rows stay in their file, and what is held, which is little, is beside them in ``held_back_s``, by the
    place of a row in its file; a key may be there twice.

    Args:
        connection: a session after ``open_night``.
        sources: the shop's sources.
        run: the run that left the checked rows at the gate.

    Raises:
        Forgotten: when they are gone.
    """
    for name in sources:
        file = duck.quoted(handoff.waiting(handoff.checked_file(run, name)))
        connection.execute(
            f"""
            create temp table held_back_{name} as
            select file_row_number as _place, _broken, 0::bigint as _amount_cents
            from read_parquet({file}, file_row_number = true)
            where len(_broken) > 0;
            create temp view placed_{name} as
            select
                row.* exclude (file_row_number, _broken),
                row.file_row_number as _place,
                coalesce(back._broken, []::varchar[]) as _broken,
                coalesce(back._amount_cents, 0) as _amount_cents
            from read_parquet({file}, file_row_number = true) as row
            left join held_back_{name} as back on back._place = row.file_row_number;
            create temp view checked_{name} as select * exclude (_place) from placed_{name}
            """
        )
    for name, source in sources.items():
        _hold_where_parts_do_not_add_up(connection, sources, name, source)
    for child, column, parent in part_links(sources):
        key = sources[parent].primary_key[0]
        of_held = f"{column} in (select {key} from checked_{parent} where len(_broken) > 0)"
        _hold(connection, child, f"follows_{parent}", f"from placed_{child} where {of_held}")
    for name, source in sources.items():
        if source.amount:
            # The money of an item that is held with its order is counted in the order.
            counted_there = (
                f"list_has_any(_broken, {[f'follows_{p}' for c, _, p in part_links(sources) if c == name]}::varchar[])"
            )
            connection.execute(
                f"""
                update held_back_{name} set _amount_cents = amounts._amount
                from (
                    select _place, coalesce(try_cast({source.amount} as bigint), 0) as _amount
                    from placed_{name}
                    where len(_broken) > 0 and not {counted_there}
                ) as amounts
                where amounts._place = held_back_{name}._place
                """
            )


def _hold(connection: duckdb.DuckDBPyConnection, name: str, rule: str, rows: str) -> None:
    """Hold rows by one more rule; they are given as what follows ``select`` in a statement over ``placed_…``."""
    connection.execute(
        f"""
        create or replace temp table also_held as select _place {rows};
        update held_back_{name} set _broken = list_append(_broken, '{rule}')
        where _place in (from also_held);
        insert into held_back_{name}
        select _place, ['{rule}'], 0 from also_held where _place not in (select _place from held_back_{name})
        """
    )


def _hold_where_parts_do_not_add_up(
    connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source], name: str, source: Source
) -> None:
    """Hold a row whose accepted parts do not add up to it: the accepted parts alone would give wrong figures."""
    whole = source.whole
    if whole is None or whole.parts not in sources:
        return
    key = source.primary_key[0]
    _hold(
        connection,
        name,
        whole.rule,
        f"""
        from placed_{name} as row
        join (
            select
                row.{key},
                coalesce({whole.sum_sql} filter (len(part._broken) = 0), 0) as accepted,
                -- Of parts that are worth nothing the sum does not show that none is left.
                count(part.{key}) filter ({whole.counted}) > 0
                    and count(part.{key}) filter ({whole.counted} and len(part._broken) = 0) = 0 as lost_all
            from checked_{name} as row
            left join checked_{whole.parts} as part on part.{key} = row.{key}
            group by row.{key}
        ) as sums using ({key})
        where len(_broken) = 0 and (sums.accepted is distinct from {whole.equals} or sums.lost_all)
        """,
    )


def counts_of(connection: duckdb.DuckDBPyConnection, source: Source, *, full: bool) -> dict[str, int]:
    """What tonight does to one source, as row counts (see ``audit.source_counts``).

    Raises:
        NightStopped: when a row that was read has no outcome, or two.
    """
    name = source.name
    key = same_key(source, "row", "old")
    was_held = f"exists (select 1 from held_{name} as old where {key})"
    accepted, quarantined, released, recalled, clean, held = (
        int(count)
        for count in connection.execute(
            f"""
            select
                count(*) filter (_origin = 'changed' and not _is_held),
                count(*) filter (_origin = 'changed' and _is_held),
                count(*) filter (not _is_held and {was_held}),
                count(*) filter (_origin = 'family' and _is_held),
                count(*) filter (not _is_held),
                count(*) filter (_is_held)
            from (select *, len(_broken) > 0 as _is_held from checked_{name}) as row
            """
        ).fetchone()
        or (0,) * 6
    )
    read = _count(connection, f"raw_{name}")
    if read != accepted + quarantined:
        raise NightStopped(f"{name}: {read:,} rows were read, but {accepted:,} accepted + {quarantined:,} quarantined")
    if not full:
        checked, gone = (f"exists (select 1 from {rows}_{name} as row where {key})" for rows in ("checked", "gone"))
        clean += _count(connection, f"clean_{name} as old where not {checked} and not {gone}")
    return {
        "accepted": accepted,
        "quarantined": quarantined,
        "released": released,
        "recalled": recalled,
        "clean_rows": clean,
        "held_rows": held,
    }


def _count(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    row = connection.execute(f"select count(*) from {rows}").fetchone()
    return int(row[0]) if row else 0
