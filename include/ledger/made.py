"""What a run made, as far as whoever describes it needs it: the tables it built, and those it published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg.rows import class_row

from include.ledger.connection import connect


@dataclass(frozen=True)
class Built:
    """A table that a run built in the lake.

    Attributes:
        schema_name: ``reporting`` or ``features``.
        table_name: its name.
        lake_version: the version that the run committed.
        rows: of the whole table, or of the night's slice.
        inputs: per table it was built from (``clean.orders``), the version in the lake.
    """

    schema_name: str
    table_name: str
    lake_version: int
    rows: int
    inputs: Mapping[str, int] | None


@dataclass(frozen=True)
class PublishedTable:
    """A table that a run published.

    Attributes:
        schema_name: ``reporting`` or ``features``.
        table_name: its name.
        lake_version: the version of it.
        rows: of the whole table.
        inserted: rows that were written.
    """

    schema_name: str
    table_name: str
    lake_version: int
    rows: int
    inserted: int


def built_tables(run_id: str) -> list[Built]:
    """The tables that a run built, by name."""
    with connect() as connection, connection.cursor(row_factory=class_row(Built)) as cursor:
        return cursor.execute(
            """
            select schema_name, table_name, lake_version, rows, inputs
            from audit.builds where run_id = %s order by schema_name, table_name
            """,
            [run_id],
        ).fetchall()


def published_tables(run_id: str) -> list[PublishedTable]:
    """The tables of a run's latest publication, by name; none where it published nothing."""
    with connect() as connection, connection.cursor(row_factory=class_row(PublishedTable)) as cursor:
        return cursor.execute(
            """
            select schema_name, table_name, lake_version, rows, inserted
            from audit.publication_tables
            where publication_id = (select max(publication_id) from audit.publications where run_id = %s)
            order by schema_name, table_name
            """,
            [run_id],
        ).fetchall()
