"""Postgres DDL and comments from a table's declaration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from include.contract.table import Table

PUBLICATION = "_publication_id"  # on every published row: the publication that wrote it
KNOWN_AT = "known_at"  # on every feature row: when it was published, so that training never looks ahead


@dataclass(frozen=True)
class WarehouseColumn:
    """A column of a published table in Postgres: its type as the DDL has it, and whether it is never null."""

    type: str
    never_null: bool


def warehouse_columns(table: Table) -> Mapping[str, WarehouseColumn]:
    """The columns of a published table in Postgres by name, in order: the declared ones, then what every row carries.

    Args:
        table: with its key types resolved.
    """
    columns = {column.name: WarehouseColumn(column.postgres, not column.nullable) for column in table.columns}
    columns[PUBLICATION] = WarehouseColumn("bigint", never_null=True)
    if table.schema == "features":
        columns[KNOWN_AT] = WarehouseColumn("timestamptz", never_null=True)
    return columns


def create_table(table: Table, schema: str | None = None, *, keyed: bool = True) -> str:
    """The statement that creates a published table; it may be run again.

    Args:
        table: with its key types resolved.
        schema: the Postgres schema, where it is not the table's own.
        keyed: whether with its key.
    """
    lines = [
        f"{name} {column.type}{' not null' if column.never_null else ''}"
        for name, column in warehouse_columns(table).items()
    ]
    if keyed:
        lines.append(f"primary key ({', '.join(table.primary_key)})")
    body = ",\n    ".join(lines)
    return f"create table if not exists {schema or table.schema}.{table.name} (\n    {body}\n)"


def comments(table: Table) -> dict[str, str]:
    """What Postgres is to say of a published table, by the thing that is commented on: ``table …``, ``column …``."""
    name = table.qualified_name
    said = {f"table {name}": f"{table.grain} {table.doc}".strip()}
    said |= {f"column {name}.{column.name}": column.doc for column in table.columns}
    said[f"column {name}.{PUBLICATION}"] = "The publication that wrote this row."
    if table.schema == "features":
        said[f"column {name}.{KNOWN_AT}"] = "When this row was published."
    return said
