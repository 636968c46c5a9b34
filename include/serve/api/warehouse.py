"""What answers are read from: the published tables, as the analyst, through a few connections of the API's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, IsolationLevel
from psycopg.errors import DatatypeMismatch, InsufficientPrivilege, QueryCanceled, UndefinedFunction, UndefinedTable
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from include.contract import Table
from include.ledger.redaction import redacted
from include.serve.api.giving_way import look
from include.serve.api.problems import Problem, unavailable
from include.settings import settings
from include.settings.shops import PerShop

MOST_QUERIES: Final = 4  # at once; Airflow's own database and the publication need the machine as well
MOST_WAITING: Final = 200  # requests; each holds no more than its own parameters
WAIT_SECONDS: Final = 5
QUERY_SECONDS: Final = 10
_IDLE_SECONDS: Final = 60

Connection = AsyncConnection[tuple[Any, ...]]


@asynccontextmanager
async def snapshot() -> AsyncIterator[Connection]:
    """One read-only snapshot of the warehouse: everything in it is of one publication.

    Raises:
        Problem: when the warehouse cannot be reached, all connections stay taken, or a query takes too long (503); when
            there is no such table yet (404); when a value cannot be compared there (422).
    """
    pool = _pool()
    await pool.open()  # does nothing where it is open
    try:
        async with pool.connection() as connection:
            await connection.execute("select set_config('statement_timeout', %s, true)", [f"{QUERY_SECONDS}s"])
            await look(connection)
            yield connection
    except QueryCanceled:
        detail = f"the answer took longer than {QUERY_SECONDS} s: ask for fewer rows, or filter by a column of the key"
        raise unavailable(detail, 60) from None
    except (PoolTimeout, TooManyRequests):
        detail = (
            f"no connection to the warehouse was free or to be had in {WAIT_SECONDS} s: {MOST_QUERIES} queries are"
            " answered at once. Try again in a moment"
        )
        raise unavailable(detail, WAIT_SECONDS) from None
    except (UndefinedTable, InsufficientPrivilege):
        raise Problem(HTTPStatus.NOT_FOUND, "nothing is published yet that the analyst may read") from None
    except (psycopg.DataError, DatatypeMismatch, UndefinedFunction) as error:
        # Also a column whose type an upgrade has changed, until the next night.
        detail = f"the warehouse cannot compare a column with a value of the request: {type(error).__name__}"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field="filter") from None
    except psycopg.OperationalError as error:
        raise unavailable(redacted(f"no connection to the warehouse: {error}"), 30) from None


@asynccontextmanager
async def long_snapshot(seconds: int) -> AsyncIterator[Connection]:
    """The same for whoever reads long: on a connection of its own, with errors as they are.

    Args:
        seconds: how long a statement may take.

    Raises:
        Problem: when the settings name no analyst (503).
    """
    async with await Connection.connect(_analyst_url(), **_connecting("stocktake export")) as connection:
        await _configure(connection)
        await connection.execute("select set_config('statement_timeout', %s, true)", [f"{seconds}s"])
        yield connection


@dataclass(frozen=True)
class Publication:
    """When a table was last written.

    Attributes:
        publication_id: in this warehouse; one that is made anew begins at 1 again.
        published_at: the instant.
        night: the night of its slices.
        horizon: the last whole business day that the tables without slices cover.
    """

    publication_id: int
    published_at: datetime
    night: date
    horizon: date


async def publication_of(connection: Connection, table: Table) -> Publication:
    """The publication that last wrote a table: as long as it is the same, so are the table's rows.

    Raises:
        Problem: when the table is not published yet, or not any more (404).
    """
    cursor = await connection.execute(
        """
        select publication_id, published_at, night, horizon
        from audit.publication_tables
        join audit.publications using (publication_id)
        where schema_name = %(schema)s and table_name = %(name)s
            and to_regclass(quote_ident(%(schema)s) || '.' || quote_ident(%(name)s)) is not null
        order by publication_id desc limit 1
        """,
        {"schema": table.schema, "name": table.name},
    )
    row = await cursor.fetchone()
    if row is None:
        detail = f"{table.qualified_name} is not published: GET /tables says why, or the next night publishes it"
        raise Problem(HTTPStatus.NOT_FOUND, detail, field="table", value=table.qualified_name)
    return Publication(*row)


@PerShop
def _pool() -> AsyncConnectionPool[Connection]:
    return AsyncConnectionPool(
        _analyst_url(),
        min_size=0,
        max_size=MOST_QUERIES,
        max_waiting=MOST_WAITING,
        timeout=WAIT_SECONDS,
        max_idle=_IDLE_SECONDS,
        reconnect_timeout=WAIT_SECONDS,
        check=AsyncConnectionPool.check_connection,
        configure=_configure,
        kwargs=_connecting("stocktake api"),
        open=False,
    )


def _analyst_url() -> str:
    url = settings().analyst_url
    if url is None:
        raise unavailable("STOCKTAKE_ANALYST_URL is not set: the API reads the warehouse as the analyst", 3600)
    return url.get_secret_value()


def _connecting(application: str) -> dict[str, Any]:
    # Nothing is prepared on the server: behind a pooler the next transaction has another session.
    return {"prepare_threshold": None, "connect_timeout": 10, "application_name": application}


async def _configure(connection: Connection) -> None:
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(True)
