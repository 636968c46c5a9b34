"""The main reporting tables as somebody would write them in SQL inside Postgres: the files in ``sql/``, in order.

They read the shop's own tables and stand beside them, in the schema ``plain``. There is no gate, no copy and no
ledger: it is the least that a night could be. Before their time is told, their rows must equal ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import ClientCursor
from psycopg.sql import SQL

from include.contract import Table
from include.settings import settings
from include.sources.shop_file import ShopFile
from transforms.parameters import PARAMETERS
from transforms.registry import TABLES

SCHEMA: Final = "plain"
NAMES: Final = ("order_lines", "orders", "daily_sales", "daily_product_sales", "customers", "inventory_daily")

FOLDER: Final = Path(__file__).parent / "sql"


def prepare(url: str) -> None:
    """Make the schema anew, empty."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set client_min_messages = warning")
        connection.execute(SQL(f"drop schema if exists {SCHEMA} cascade"))
        connection.execute(SQL(f"create schema {SCHEMA}"))


def make(url: str, name: str, as_of: date, timezone: str) -> int:
    """Make one table, with the contract's types and its key, and tell the planner about it.

    Args:
        url: the shop, as its owner.
        name: one of ``NAMES``, after those before it.
        as_of: the last whole business day.
        timezone: the shop's: it decides the business day.

    Returns:
        Its rows.
    """
    table = TABLES[name].table.typed({}, ShopFile.of(settings().sources).decimals)
    columns = ", ".join(f"{column.name}::{column.postgres} as {column.name}" for column in table.columns)
    query = (FOLDER / f"{name}.sql").read_text()
    values = {"as_of": as_of, "active_days": PARAMETERS.active_days, "lapsed_days": PARAMETERS.lapsed_days}
    with psycopg.connect(url, cursor_factory=ClientCursor) as connection:
        connection.execute("select set_config('timezone', %s, false)", [timezone])
        made = connection.execute(
            SQL(f"create table {SCHEMA}.{name} as select {columns} from ({query}) as made"), values
        ).rowcount
        connection.execute(SQL(f"alter table {SCHEMA}.{name} add primary key ({', '.join(table.primary_key)})"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL(f"analyze {SCHEMA}.{name}"))
    return made


def different(ours: str, theirs: str, names: Iterable[str] = NAMES, schema: str = SCHEMA) -> list[str]:
    """The tables whose rows, to the last bit of the last column, are not the same in both databases.

    Args:
        ours: the warehouse.
        theirs: where others are, of the same types; by default the shop, where ``make`` made them.
        names: the tables to compare.
        schema: in which they are.
    """
    with psycopg.connect(ours) as warehouse, psycopg.connect(theirs) as others:
        return [
            name
            for name in names
            if digest(warehouse, TABLES[name].table, TABLES[name].table.schema)
            != digest(others, TABLES[name].table, schema)
        ]


def digest(connection: psycopg.Connection[Any], table: Table, schema: str) -> tuple[Any, ...]:
    """How many rows a table has, and the sum of their hashes: equal rows of equal types, in any order, hash alike."""
    columns = ", ".join(column.name for column in table.columns)
    found = connection.execute(
        SQL(f"select count(*), sum(hash_record_extended(row({columns}), 0)::numeric) from {schema}.{table.name}")
    ).fetchone()
    return found or ()
