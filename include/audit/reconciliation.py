"""The reconciliation of a night before it is published: every balance whose tables the night has, in its versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from include.audit.balance import LAYERS, Balance, compare_sides
from include.audit.payments import PAYMENT_BALANCES
from include.audit.sales import SALES_BALANCES
from include.audit.sources import ACCOUNTS, source_balance
from include.audit.stock import STOCK_BALANCES
from include.contract import Source, Table
from include.contract.types import UNIT_DECIMALS, day_number
from include.contract.units import in_decimals, per_unit
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.ledger import copies, reconciliation
from include.ledger.reconciliation import Proof
from include.ledger.runs import Run


def balances(sources: Mapping[str, Source]) -> tuple[Balance, ...]:
    """All balances, for a shop with these sources."""
    read = [name for name, source in sources.items() if not source.counted]
    return (source_balance(read), *SALES_BALANCES, *PAYMENT_BALANCES, *STOCK_BALANCES)


def prove(run: Run, sources: Mapping[str, Source], tables: Sequence[Table], versions: Mapping[str, int]) -> list[Proof]:
    """Reconcile what a night accepted and built, and enter the figures in the ledger.

    Args:
        run: the night's run.
        sources: the shop's sources; a balance that needs another source is skipped.
        tables: the tables built, with the shop's key types; a balance that needs another table is skipped.
        versions: the version of each table in the lake.

    Returns:
        One proof per balance, whether it holds or not.
    """
    accounts = copies.accounts(run.run_id)
    with duck.session() as connection:
        known = _open(connection, run, sources, accounts, tables, versions)
        proofs = [compare_sides(connection, balance) for balance in balances(sources) if balance.needs <= known]
    reconciliation.record(run.run_id, proofs, anew=True)
    return proofs


def _open(
    connection: duckdb.DuckDBPyConnection,
    run: Run,
    sources: Mapping[str, Source],
    accounts: Sequence[Mapping[str, Any]],
    tables: Sequence[Table],
    versions: Mapping[str, int],
) -> set[str]:
    """Create a view of every table of the night, and return the names."""
    files = {f"reporting.{table.name}": (table, versions[table.name]) for table in tables}
    for account in accounts:
        source = sources[account["source"]]
        files[f"clean.{source.name}"] = (source, account["clean_version"])
        if not source.counted:
            files[f"quarantine.{source.name}"] = (source, account["held_version"])
    for layer in LAYERS:
        connection.execute(f"create schema {layer}")
    for name, (table, version) in files.items():
        layer = name.partition(".")[0]
        rows = duck.relation(lake.files(layer, table.name, version), table.lake_columns)
        connection.execute(f"create view {name} as select * from {rows}")
    counted = [source for source in sources.values() if source.counted]
    for source in counted:  # what we make ourselves is never in quarantine
        rows = duck.relation([], source.lake_columns)
        connection.execute(f"create view quarantine.{source.name} as select * from {rows}")
    accounts = [one for one in accounts if not sources[one["source"]].counted]
    connection.execute(f"create macro horizon() as {day_number(run.horizon)}")
    unit_decimals = next((source.unit_decimals for source in sources.values()), UNIT_DECIMALS)
    connection.execute(f"create macro per_unit(product) as {in_decimals(per_unit('product'), unit_decimals)}")
    counts = [name for name in accounts[0] if name != "source"] if accounts else []
    connection.execute(f"create table {ACCOUNTS} (source varchar, {', '.join(f'{name} bigint' for name in counts)})")
    connection.executemany(
        f"insert into {ACCOUNTS} values ({', '.join('?' * (1 + len(counts)))})",
        [list(row.values()) for row in accounts],
    )
    return {*files, *(f"quarantine.{source.name}" for source in counted)}
