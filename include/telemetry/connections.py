"""Connections whose slow statements are spans; given out only where Airflow records them, else the libraries' own."""

from __future__ import annotations

from typing import Any, cast

import duckdb
import psycopg
from psycopg import sql

from include.telemetry.spans import recording, statement


class _Cursor(psycopg.Cursor[Any]):
    """Postgres' cursor, whose statements are timed."""

    def execute(self, query: Any, *given: Any, **options: Any) -> Any:
        """As psycopg's."""
        with statement("postgresql", lambda: _text(query, self)):
            return super().execute(query, *given, **options)

    def executemany(self, query: Any, *given: Any, **options: Any) -> None:
        """As psycopg's."""
        with statement("postgresql", lambda: _text(query, self)):
            super().executemany(query, *given, **options)


def cursor_factory() -> type[psycopg.Cursor[Any]]:
    """What a connection to Postgres makes its cursors with."""
    return _Cursor if recording() else psycopg.Cursor


def timed(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The same connection to DuckDB, whose statements are timed where spans are recorded."""
    return cast(duckdb.DuckDBPyConnection, _Timed(connection)) if recording() else connection


class _Timed:
    """A connection to DuckDB in all but its type: nothing can be added to DuckDB's own.

    A statement cannot name a caller's variable through it (DuckDB looks for a frame of that name in the code that
    calls it, which is this); what is read so is registered by name.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, query: Any, *given: Any, **options: Any) -> _Timed:
        """As DuckDB's."""
        with statement("duckdb", lambda: str(query)):
            self._connection.execute(query, *given, **options)
        return self

    def executemany(self, query: Any, *given: Any, **options: Any) -> _Timed:
        """As DuckDB's."""
        with statement("duckdb", lambda: str(query)):
            self._connection.executemany(query, *given, **options)
        return self


def _text(query: Any, cursor: psycopg.Cursor[Any]) -> str:
    if isinstance(query, sql.Composable):
        return query.as_string(cursor)
    return query.decode() if isinstance(query, bytes) else str(query)
