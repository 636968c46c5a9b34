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

    Args:
        connection: a session after ``open_night``.
        sources: the shop's sources.
        run: the run that left the checked rows at the gate.

    Raises:
        Forgotten: when they are gone.
    """
    for name in sources:
        rows = f"read_parquet({duck.quoted(handoff.waiting(handoff.checked_file(run, name)))})"
        connection.execute(f"create temp table checked_{name} as select *, 0::bigint as _amount_cents from {rows}")
    for name, source in sources.items():
        _hold_where_parts_do_not_add_up(connection, sources, name, source)
    for child, column, parent in part_links(sources):
        key = sources[parent].primary_key[0]
        connection.execute(
            f"""
            update checked_{child} set _broken = list_append(_broken, 'follows_{parent}')
            where {column} in (select {key} from checked_{parent} where len(_broken) > 0)
            """
        )
    for name, source in sources.items():
        if source.amount:
            # The money of an item that is held with its order is counted in the order.
            counted_there = (
                f"list_has_any(_broken, {[f'follows_{p}' for c, _, p in part_links(sources) if c == name]}::varchar[])"
            )
            connection.execute(
                f"""
                update checked_{name} set _amount_cents = coalesce(try_cast({source.amount} as bigint), 0)
                where len(_broken) > 0 and not {counted_there}
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
    connection.execute(
        f"""
        update checked_{name} set _broken = list_append(_broken, '{whole.rule}')
        from (
            select
                row.{key},
                coalesce({whole.sum_sql} filter (len(part._broken) = 0), 0) as accepted,
                -- Of parts that are worth nothing the sum does not show that none is left.
                count(part.{key}) filter ({whole.counted}) > 0
                    and count(part.{key}) filter ({whole.counted} and len(part._broken) = 0) = 0 as lost_all
            from checked_{name} as row
            left join checked_{whole.parts} as part on part.{key} = row.{key}
            group by row.{key}
        ) as sums
        where
            len(_broken) = 0
            and sums.{key} = checked_{name}.{key}
            and (sums.accepted is distinct from {whole.equals} or sums.lost_all)
        """
    )


def counts_of(connection: duckdb.DuckDBPyConnection, source: Source, *, full: bool) -> dict[str, int]:
    """What tonight does to one source, as row counts (see ``audit.source_counts``).

    Raises:
        NightStopped: when a row that was read has no outcome, or two.
    """
    name = source.name
    key = same_key(source, "row", "old")
    tonight = f"from checked_{name} as row where"
    rejected, fine = "len(_broken) > 0", "len(_broken) = 0"
    was_held = f"exists (select 1 from held_{name} as old where {key})"
    checked = f"exists (select 1 from checked_{name} as row where {key})"
    gone = f"exists (select 1 from gone_{name} as row where {key})"

    def count(rows: str) -> int:
        return _scalar(connection, f"select count(*) {rows}")

    accepted = count(f"{tonight} _origin = 'changed' and {fine}")
    quarantined = count(f"{tonight} _origin = 'changed' and {rejected}")
    read = count(f"from raw_{name}")
    if read != accepted + quarantined:
        raise NightStopped(f"{name}: {read:,} rows were read, but {accepted:,} accepted + {quarantined:,} quarantined")
    return {
        "accepted": accepted,
        "quarantined": quarantined,
        "released": count(f"{tonight} {fine} and {was_held}"),
        "recalled": count(f"{tonight} _origin = 'family' and {rejected}"),
        "clean_rows": count(f"{tonight} {fine}")
        + (0 if full else count(f"from clean_{name} as old where not {checked} and not {gone}")),
        "held_rows": count(f"{tonight} {rejected}"),
    }


def _scalar(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0
