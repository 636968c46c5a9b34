"""The DDL that follows from a declaration, run in a real Postgres."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL

from include.contract import Column, Table, Type
from include.contract.ddl import create_table
from include.publish.live import write_comments
from include.publish.live_schema import loosen, tighten
from include.settings import ROOT
from include.sources import key_types
from tests.conftest import Database
from transforms.registry import TABLES

ODD = Table(
    schema="features",
    name="odd",
    grain="One row per visit.",
    doc="It's the shop's; 100 % of it; \\ and \"quotes\" too.",
    columns=(
        Column("visit_id", Type.UUID, "The visit."),
        *(Column(f"a_{kind}", kind, f"It's a {kind}; null when 'unknown'.", nullable=True) for kind in Type),
    ),
    primary_key=("visit_id",),
)
EVERY = {one.qualified_name: one for one in (ODD, *(published.table for published in TABLES.values()))}

COLUMNS = """
    select attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum)
    from pg_attribute where attrelid = %s::regclass and attnum > 0 order by attnum
"""
KEY = """
    select array_agg(attname::text order by place)
    from pg_constraint, unnest(conkey) with ordinality as key (number, place)
    join pg_attribute on attnum = number
    where contype = 'p' and conrelid = %s::regclass and attrelid = conrelid
"""


def created(warehouse: psycopg.Connection[Any], table: Table) -> list[tuple[Any, ...]]:
    warehouse.execute(f"create schema if not exists {table.schema}")
    loosen(warehouse, table)
    tighten(warehouse, table)
    write_comments(warehouse, table)
    return warehouse.execute(COLUMNS, [table.qualified_name]).fetchall()


def declared(table: Table) -> list[tuple[Any, ...]]:
    columns: list[tuple[Any, ...]] = [
        (column.name, _spelt(column.postgres), not column.nullable, column.doc) for column in table.columns
    ]
    columns.append(("_publication_id", "bigint", True, "The publication that wrote this row."))
    if table.schema == "features":
        columns.append(("known_at", "timestamp with time zone", True, "When this row was published."))
    return columns


def _spelt(kind: str) -> str:
    """A type as Postgres spells it back."""
    return {"numeric(18, 2)": "numeric(18,2)", "timestamptz": "timestamp with time zone"}.get(kind, kind)


@pytest.mark.parametrize("name", EVERY)
def test_postgres_holds_what_was_declared_also_when_told_twice(warehouse_database: Database, name: str) -> None:
    table = EVERY[name]
    with warehouse_database.connect("loader") as warehouse:
        once = created(warehouse, table)
        twice = created(warehouse, table)
        assert once == twice == declared(table)
        assert warehouse.execute(KEY, [name]).fetchone() == (list(table.primary_key),)
        comment = warehouse.execute("select obj_description(%s::regclass)", [name]).fetchone()
        assert comment == (f"{table.grain} {table.doc}".strip(),)


def test_it_goes_into_another_schema_when_asked(warehouse_database: Database) -> None:
    with warehouse_database.connect("loader") as warehouse:
        warehouse.execute("create schema staging")
        warehouse.execute(SQL(create_table(ODD, "staging")))
        assert warehouse.execute("select to_regclass('staging.odd'), to_regclass('features.odd')").fetchone() == (
            "staging.odd",
            None,
        )


def test_a_key_is_created_with_the_type_of_the_shop() -> None:
    keys = key_types(ROOT / "include" / "sources" / "demo_shop") | {"customers": Type.UUID}
    assert "customer_id uuid not null" in create_table(TABLES["customers"].table.typed(keys))
