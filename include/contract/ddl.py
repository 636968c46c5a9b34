"""Postgres DDL and comments from a table's declaration."""

from __future__ import annotations

from include.contract.table import Table

PUBLICATION = "_publication_id"  # on every published row: the publication that wrote it
KNOWN_AT = "known_at"  # on every feature row: when it was published, so that training never looks ahead


def create_table(table: Table, schema: str | None = None) -> str:
    """The statement that creates a published table with its key; it may be run again.

    Args:
        table: with its key types resolved.
        schema: the Postgres schema, where it is not the table's own.
    """
    lines = [
        f"{column.name} {column.type.postgres}{'' if column.nullable else ' not null'}" for column in table.columns
    ]
    lines.append(f"{PUBLICATION} bigint not null")
    if table.schema == "features":
        lines.append(f"{KNOWN_AT} timestamptz not null")
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
