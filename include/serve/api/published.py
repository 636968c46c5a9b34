"""The published tables: as the shop has them, and as the warehouse does."""

from __future__ import annotations

from collections.abc import Mapping, Set

from include.contract import Table
from include.serve.api.warehouse import Connection
from include.settings import settings
from include.settings.shops import PerShop
from include.sources import shop_tables
from transforms.registry import TABLES


@PerShop
def tables_of_shop() -> Mapping[str, Table]:
    """The tables as the shop has them, by qualified name."""
    tables = shop_tables([one.table for one in TABLES.values()], settings().sources)
    return {table.qualified_name: table for table in tables}


async def published_columns(connection: Connection, table: Table) -> Set[str]:
    """The columns that a table has in the warehouse."""
    found = await connection.execute(
        "select column_name from information_schema.columns where table_schema = %s and table_name = %s",
        [table.schema, table.name],
    )
    return {name for (name,) in await found.fetchall()}
