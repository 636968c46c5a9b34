"""The Airflow asset of a table."""

from __future__ import annotations

from airflow.sdk import Asset

from include.contract.table import Table


def asset(table: Table) -> Asset:
    """The asset that other DAGs start from; its name is the table's."""
    return Asset(name=table.qualified_name, uri=f"stocktake://warehouse/{table.schema}/{table.name}", group="stocktake")
