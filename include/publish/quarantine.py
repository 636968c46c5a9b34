"""The quarantine in the ledger: the rows held now, and what became of rows held before."""

from __future__ import annotations

import duckdb
import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL

from include.contract import Source, Type
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.lake.night_views import row_key
from include.lake.rows import rows as stored_rows
from include.ledger.runs import Run
from include.publish.table_version import UNVACUUMED

_MOST = 9 * 10**15  # of the 16 digits before the point
STAGED = f"""
create unlogged table staging.quarantine
    (source text, row_key text, rules text[], row_values text, amount numeric(18, 2), currency text) {UNVACUUMED};
create unlogged table staging.accepted_keys (source text, row_key text) {UNVACUUMED}
"""


def stage(session: duckdb.DuckDBPyConnection, source: Source, held: str | None = None) -> None:
    """Stage the rows in quarantine, and the keys of rows that are open in the ledger but have been accepted since.

    Args:
        session: a session with the warehouse attached.
        source: the source.
        held: a relation of the rows in quarantine; by default those in the lake.
    """
    files = lake.files("quarantine", source.name)
    if not files and not lake.files("clean", source.name):
        return
    if files and held is None:
        held = f"read_parquet([{', '.join(duck.quoted(file) for file in files)}])"
    read = ", ".join(f"{column.lake_name} := {column.shown_sql}" for column in source.columns)
    unreadable = "_unreadable := _unreadable"
    # No file means an empty quarantine, not a missing one.
    if held:
        session.execute(
            f"""
            insert into warehouse.staging.quarantine by name
            select
                '{source.name}' as source,
                {row_key(source)} as row_key,
                list_sort(_broken) as rules,
                to_json(struct_pack({read}, {unreadable}))::varchar as row_values,
                {_amount(source)} as amount,
                {source.currency or "null::varchar"} as currency
            from {held}
            """
        )
    session.execute(
        f"""
        insert into warehouse.staging.accepted_keys by name
        select '{source.name}' as source, key as row_key
        from (select {row_key(source)} as key from {stored_rows("clean", source.name, source.columns)})
        semi join (
            select row_key as key from postgres_query('warehouse',
                'select row_key from audit.quarantine where outcome = ''open'' and source = ''{source.name}''')
        ) using (key)
        """
    )


def _amount(source: Source) -> str:
    """A DuckDB expression: the money at stake with two decimals, which the ledger has in every shop, and as it fits."""
    amount = Type.CENTS.to_warehouse_sql("_amount_cents", source.decimals)
    return f"cast(greatest(least({amount}, {_MOST}), -{_MOST}) as decimal(18, 2))"


def sync(connection: psycopg.Connection[TupleRow], run: Run) -> None:
    """Close entries of rows that are no longer held unchanged, open entries of newly held rows, keep all others."""
    same = (
        "now.source = held.source and now.row_key = held.row_key and now.rules = held.rules"
        " and now.row_values::jsonb = held.row_values"
    )
    connection.execute(
        SQL(
            f"""
            update audit.quarantine as held set
                resolved_by = %s,
                resolved_at = now(),
                outcome = case
                    when exists (
                        select from staging.quarantine as now
                        where now.source = held.source and now.row_key = held.row_key
                    ) then 'changed'
                    when exists (
                        select from staging.accepted_keys as now
                        where now.source = held.source and now.row_key = held.row_key
                    ) then 'released'
                    else 'deleted'
                end
            where held.outcome = 'open' and not exists (select from staging.quarantine as now where {same})
            """
        ),
        [run.run_id],
    )
    connection.execute(
        SQL(
            f"""
            insert into audit.quarantine (source, row_key, rules, row_values, amount, currency, quarantined_by)
            select source, row_key, rules, row_values::jsonb, amount, currency, %s
            from staging.quarantine as now
            where not exists (select from audit.quarantine as held where held.outcome = 'open' and {same})
            """
        ),
        [run.run_id],
    )
