"""Counting the stock of a shop that keeps no movements: each night's state goes into a history that only we have.

Two tables. ``lake/kept/inventory_counts`` holds the counts, in absolute units, so that a night that runs twice or dies
counts nothing twice. It is written here alone and nothing replaces it: no full refresh, and no file of movements that
the shop gets later. ``lake/clean/inventory_movements`` is made of it: what lies between two counts, as movements.

Belongs here: which stock is counted on which day, and the movements made of it. Does not: which shop is counted
(``sources``), and what tables make of it.
"""

from __future__ import annotations

from datetime import datetime

import duckdb

from include.contract import Source, Table
from include.contract.counted import OF_RESERVED, OF_UNITS
from include.lake import duckdb_session as duck
from include.lake import merge
from include.lake.merge import Committed
from include.lake.rows import rows as stored_rows


def count_stock(inventory: Source, counts: Table, movements: Source, snapshot_at: datetime) -> Committed:
    """Count what was accepted, and make the movements of all counts there are.

    The day of a count is the last that was over at the snapshot. A later snapshot of the same day replaces it.

    Args:
        inventory: the source that is counted; its accepted rows are in lake/clean.
        counts: the table of all counts.
        movements: the source that is made of them.
        snapshot_at: the shop's clock when the stock was read.

    Returns:
        The version and the rows of the movements in lake/clean.

    Raises:
        lake.Damaged: when the counts cannot be read; nothing is changed then.
    """
    day = duck.last_whole_day(snapshot_at)
    with duck.session() as connection:
        kept = merge.commit(
            connection,
            "kept",
            counts.name,
            counts.lake_columns,
            counts.primary_key,
            _counted(connection, inventory, counts, day, snapshot_at),
            f"counted_on = {day}",
        )
        history = stored_rows("kept", counts.name, counts.lake_columns, kept.version)
        rows = _movements(movements, history)
        return merge.commit(connection, "clean", movements.name, movements.lake_columns, movements.primary_key, rows)


def _counted(
    connection: duckdb.DuckDBPyConnection, inventory: Source, counts: Table, day: int, snapshot_at: datetime
) -> str:
    """A relation of the day's counts: the shelves whose stock is another one than at their count before it."""
    at = duck.quoted(snapshot_at.isoformat())
    there = stored_rows("clean", inventory.name, inventory.lake_columns)
    held = stored_rows("quarantine", inventory.name, inventory.lake_columns)
    history = stored_rows("kept", counts.name, counts.lake_columns)
    connection.execute(
        f"""
        create or replace temp table counted as
        with
            before as (
                select
                    product_id,
                    warehouse_id,
                    arg_max(on_hand, counted_on) as on_hand,
                    arg_max(reserved, counted_on) as reserved
                from {history}
                where counted_on < {day}
                group by product_id, warehouse_id
            ),
            there as (
                select product_id, warehouse_id, on_hand, reserved
                from {there}
            ),
            held as (
                select distinct product_id, warehouse_id
                from {held}
                anti join there using (product_id, warehouse_id)
            ),
            gone as (
                select product_id, warehouse_id, 0 as on_hand, 0 as reserved
                from before
                anti join there using (product_id, warehouse_id)
                anti join held using (product_id, warehouse_id)
            )
        select
            {day} as counted_on,
            product_id,
            warehouse_id,
            found.on_hand,
            found.reserved,
            -- A snapshot that finds the same leaves the count as it is.
            coalesce(same.counted_at, cast({at} as timestamptz)) as counted_at
        from (from there union all from gone) as found
        left join (select * from {history} where counted_on = {day}) as same
            using (product_id, warehouse_id, on_hand, reserved)
        where not exists (
            select 1
            from before
            where before.product_id = found.product_id and before.warehouse_id = found.warehouse_id
                and before.on_hand = found.on_hand and before.reserved = found.reserved
        )
        union all by name
        -- Counted by an earlier snapshot of the day, and in quarantine since.
        select *
        from {history}
        semi join held using (product_id, warehouse_id)
        where counted_on = {day}
        """
    )
    return "counted"


def _movements(movements: Source, history: str) -> str:
    """A relation: what lies between two counts, and the first count of every shelf, even of nothing."""
    values = {
        "movement_id": "row_number() over (order by counted_on, product_id, warehouse_id, kind)",
        "moved_at": "counted_at",
        "updated_at": "counted_at",
        "moved_on": "counted_on",
        "changes_reserved": f"kind = '{OF_RESERVED}'",
        "moves_units": f"kind = '{OF_UNITS}' and quantity <> 0",
        "is_credible": "true",
        "is_reversal": "false",
    }
    found = {"product_id", "warehouse_id", "kind", "quantity"}
    columns = ", ".join(
        f"cast({column.lake_name if column.lake_name in found else values.get(column.lake_name, 'null')}"
        f" as {column.type.duckdb}) as {column.lake_name}"
        for column in movements.lake_columns
    )
    return f"""
    (
        with
            changes as (
                select
                    product_id,
                    warehouse_id,
                    counted_on,
                    counted_at,
                    on_hand - lag(on_hand, 1, 0) over shelf as units,
                    reserved - lag(reserved, 1, 0) over shelf as reserved,
                    lag(counted_on) over shelf is null as is_first
                from {history} as history
                window shelf as (partition by product_id, warehouse_id order by counted_on)
            ),
            moved as (
                select * exclude (units, reserved, is_first), '{OF_UNITS}' as kind, units as quantity
                from changes
                where units <> 0 or is_first
                union all
                select * exclude (units, reserved, is_first), '{OF_RESERVED}' as kind, reserved as quantity
                from changes
                where reserved <> 0
            )
        select {columns}
        from moved
    )
    """
