"""What the ledger says of publications: how far they go, and which version of a feature set each holds."""

from __future__ import annotations

from datetime import date, datetime

from include.contract import Table
from include.ledger.connection import connect
from include.rebuild import definition


def published_horizon() -> date | None:
    """The last whole business day that the published tables cover; None before the first publication."""
    with connect() as connection:
        row = connection.execute(
            "select max(publications.horizon) from audit.publications join audit.runs using (run_id)"
            " where dag = 'nightly'"
        ).fetchone()
    return row[0] if row else None


def newest_version(table: Table) -> int | None:
    """The version of a table that is live, where it was built as it would be built now; else None."""
    with connect() as connection:
        row = connection.execute(
            """
            select live.lake_version
            from (
                select lake_version from audit.publication_tables
                where schema_name = %(schema)s and table_name = %(table)s order by publication_id desc limit 1
            ) as live
            where (
                select definition from audit.builds
                where schema_name = %(schema)s and table_name = %(table)s and builds.lake_version = live.lake_version
                order by built_at desc limit 1
            ) = %(definition)s
            """,
            {"schema": table.schema, "table": table.name, "definition": definition()},
        ).fetchone()
    return row[0] if row else None


def published_slices(table: str | None, until: int | None) -> list[tuple[int, date, datetime, int, bool]]:
    """What was published of a feature set (None: of any), in order, up to and with a publication (None: all).

    Returns:
        Per publication its id, the night it was for, when it was, the version in the lake, whether it changed a row.
    """
    with connect() as connection:
        return connection.execute(
            """
            select publication_id, night, published_at, lake_version, inserted + deleted > 0
            from audit.publication_tables join audit.publications using (publication_id)
            where schema_name = 'features' and table_name = coalesce(%(table)s, table_name)
                and publication_id <= coalesce(%(until)s, publication_id)
            order by publication_id
            """,
            {"table": table, "until": until},
        ).fetchall()
