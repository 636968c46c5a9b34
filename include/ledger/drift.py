"""The shop's schema in the ledger: what the first night found, and what was new on later nights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from include.ledger.connection import connect


@dataclass(frozen=True)
class Change:
    """Something new in the shop's schema that does not stop the night.

    Attributes:
        relation: the table or view: ``public.orders``.
        column: its column.
        what: what is new about it.
    """

    relation: str
    column: str
    what: str


def first_schemas(statements: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Per source, the tables that its statement reads, as the first night with this statement found them.

    Args:
        statements: a digest of every source's statement; schemas found with another statement do not count.
    """
    with connect() as connection:
        rows = connection.execute("select source, statement, relations from audit.source_schemas").fetchall()
    return {source: relations for source, statement, relations in rows if statements.get(source) == statement}


def keep_first_schemas(run_id: str, schemas: Mapping[str, tuple[str, Mapping[str, Any]]]) -> None:
    """Record what a run found, per source: a digest of its statement, and the tables that it reads."""
    with connect() as connection:
        connection.cursor().executemany(
            """
            insert into audit.source_schemas (source, statement, relations, found_by) values (%s, %s, %s, %s)
            on conflict (source) do update set
                statement = excluded.statement, relations = excluded.relations, found_by = excluded.found_by,
                found_at = now()
            """,
            [(source, statement, Jsonb(relations), run_id) for source, (statement, relations) in schemas.items()],
        )


def record_changes(run_id: str, changes: Iterable[Change]) -> None:
    """Record what is new; what an earlier run has already recorded is skipped."""
    with connect() as connection:
        connection.cursor().executemany(
            """
            insert into audit.schema_changes (run_id, relation, column_name, what) values (%s, %s, %s, %s)
            on conflict (relation, column_name, what) do nothing
            """,
            [(run_id, change.relation, change.column, change.what) for change in changes],
        )
