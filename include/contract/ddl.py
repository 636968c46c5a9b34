"""Postgres DDL and comments from a table's declaration."""

from __future__ import annotations

from include.contract.table import Table

PUBLICATION = "_publication_id"  # on every published row: the publication that wrote it
KNOWN_AT = "known_at"  # on every feature row: when it was published, so that training never looks ahead


def create_table(table: Table, schema: str | None = None) -> list[str]:
    """The statements that create a published table, its key and its comments; each may be run again.

    Args:
        table: with its key types resolved.
        schema: the Postgres schema, where it is not the table's own.
    """
    name = f"{schema or table.schema}.{table.name}"
    lines = [
        f"{column.name} {column.type.postgres}{'' if column.nullable else ' not null'}" for column in table.columns
    ]
    lines.append(f"{PUBLICATION} bigint not null")
    if table.schema == "features":
        lines.append(f"{KNOWN_AT} timestamptz not null")
    lines.append(f"primary key ({', '.join(table.primary_key)})")
    comments = [f"comment on table {name} is {_text(f'{table.grain} {table.doc}'.strip())}"]
    comments += [f"comment on column {name}.{column.name} is {_text(column.doc)}" for column in table.columns]
    comments.append(f"comment on column {name}.{PUBLICATION} is 'The publication that wrote this row.'")
    if table.schema == "features":
        comments.append(f"comment on column {name}.{KNOWN_AT} is 'When this row was published.'")
    body = ",\n    ".join(lines)
    return [f"create table if not exists {name} (\n    {body}\n)", *comments]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
