"""DuckDB as the night uses it: bounded memory, UTC, the shop's business day, Postgres without leaking a password."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from importlib.resources import files
from math import log2
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import duckdb
import psycopg
from pydantic import SecretStr

from include.contract import Column
from include.contract.currency import SMALLEST_UNIT
from include.lake import orphans, storage
from include.settings import settings
from include.telemetry.connections import timed

NO_SCALES: Final[Mapping[str, int]] = MappingProxyType({})
# What libpq, and DuckDB itself when it reconnects, say about a server that went away. While DuckDB commits, libpq may
# give no reason; a server that is still there always gives one.
_GONE = re.compile(
    "server closed the connection|terminating connection|no connection to the server|Unable to connect to Postgres"
    r'|Failed to execute query "COMMIT":\s*\Z'
)
# DuckDB quotes a statement that Postgres refused, 10,000 characters of it, before it says why.
_REFUSED = re.compile(r'Failed to (?:prepare|execute) \w+ "(?P<statement>.*)": (?P<reason>.*)', re.DOTALL)
_FIRST_WAIT = 0.2  # seconds before DuckDB's second request to an object store; each later wait is twice as long
_IN = ", in: "  # before the statement
# No extension is loaded but those that read Postgres and S3, from their wheels; none is looked for in the network. They
# were installed with DuckDB and are trusted as it is: to check a signature, it hashes 42 MB in every session (0.4 s).
_CONFIG: Final[Mapping[str, str | bool | int | float | list[str]]] = MappingProxyType(
    {
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
        "allow_unsigned_extensions": "true",
    }
)
_PASSWORD = re.compile(r"(?P<of>password=|secret (?=')|session_token (?='))(?:'(?:\\.|[^'\\])*'|\S+)")


@contextmanager
def session(shares: int = 1) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new DuckDB connection; what exceeds its memory limit spills to a folder that is removed with it.

    Several that work at the same time share memory and cores: each is told how many they are.

    The SQL function ``business_day(instant)`` returns the business day of an instant, as days since 1970-01-01.
    ``minute_of_day(instant)`` is the minute of that day, by the clock on the wall, from 0 to 1439.
    ``smallest_unit(currency, decimals)`` is that of a currency, in minor units of a lake with as many decimals.
    ``convert_to(text, 'UTF8')`` is there so that an expression can be the same as in Postgres.

    Raises:
        ConnectionError: when an attached Postgres went away; the message never holds the password.
    """
    orphans.clear_spill()
    with (
        guarded(),
        TemporaryDirectory(prefix=storage.spill_prefix()) as spill,
        duckdb.connect(config=dict(_CONFIG)) as connection,
    ):
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"set memory_limit = {quoted(settings().memory_limit)}")
        if shares > 1:
            (threads,) = connection.execute("select current_setting('threads')").fetchone() or (1,)
            connection.execute(f"set threads = {max(1, int(threads) // shares)}")
            share(connection, shares)
        connection.execute(f"set temp_directory = {quoted(spill)}")
        connection.execute("set preserve_insertion_order = false")
        connection.execute("set enable_progress_bar = false")
        connection.execute(
            f"""
            create macro business_day(instant) as
            date_diff('day', date '1970-01-01', cast(timezone({quoted(settings().timezone)}, instant) as date))
            """
        )
        connection.execute(
            f"""
            create macro minute_of_day(instant) as
            date_part('hour', timezone({quoted(settings().timezone)}, instant)) * 60
            + date_part('minute', timezone({quoted(settings().timezone)}, instant))
            """
        )
        reach_lake(connection)
        connection.execute(f"create macro smallest_unit(currency, decimals) as {SMALLEST_UNIT}")
        connection.execute("create macro convert_to(text, encoding) as text")  # all its texts are UTF-8
        yield timed(connection)


def share(connection: duckdb.DuckDBPyConnection, shares: int) -> None:
    """Leave memory to as many sessions; also while one of them is in use by another thread."""
    own = connection.cursor()
    own.execute(f"set memory_limit = {quoted(settings().memory_limit)}")
    (limit,) = own.execute("select current_setting('memory_limit')").fetchone() or ("",)
    memory, _, unit = str(limit).partition(" ")  # 488.2 MiB, however it was set
    own.execute(f"set memory_limit = {quoted(f'{float(memory) / shares:.1f} {unit}')}")


def reach_lake(connection: duckdb.DuckDBPyConnection) -> bool:
    """Let a connection read the lake where it lies in an object store.

    DuckDB's own reader takes keys alone (3 M rows from a server on this machine: 0.2 s, and 0.4 to 0.9 s through
    Python); all other ways to be let in, and other clouds than S3, go through Python.

    Returns:
        Whether it reads without Python. Where it does not, files are for ``execute`` alone: a relation is bound while
        its caller holds Python's lock, and DuckDB's threads, which look into several files at once, wait for that lock.
    """
    lake, said = settings().lake, settings().storage_options
    if not storage.is_url(lake):
        return True
    if not lake.startswith("s3://") or "aws_access_key_id" not in said:
        connection.register_filesystem(storage.duckdb_files())
        return False
    endpoint = urlsplit(said.get("aws_endpoint", ""))
    values = {
        "key_id": said["aws_access_key_id"],
        "secret": said["aws_secret_access_key"],
        "session_token": said.get("aws_session_token", said.get("aws_token")),
        "region": said.get("aws_region"),
        "endpoint": endpoint.netloc,
        "url_style": "path" if endpoint.netloc else None,
        "use_ssl": "false" if endpoint.scheme == "http" else None,
    }
    named = ", ".join(f"{name} {quoted(value)}" for name, value in values.items() if value)
    connection.execute(f"load {quoted(str(_extension('httpfs')))}")
    connection.execute(f"create or replace secret lake (type s3, {named})")
    retries = round(log2(settings().lake_retry_seconds / _FIRST_WAIT + 1))
    connection.execute(f"set http_retries = {max(retries, 1)}")
    connection.execute(f"set http_retry_wait_ms = {round(1000 * _FIRST_WAIT)}")
    connection.execute("set http_retry_backoff = 2")
    return True


def last_whole_day(instant: datetime) -> int:
    """The last business day that was over at an instant, as days since 1970-01-01."""
    with session() as connection:
        (day,) = connection.execute("select business_day(cast(? as timestamptz)) - 1", [instant]).fetchone() or (0,)
    return int(day)


@contextmanager
def guarded() -> Iterator[None]:
    """Make DuckDB's errors in this block fit to be read by others.

    The password is removed. Of a statement that Postgres refused the reason comes first. Where memory ran out, the
    message names the setting.

    Raises:
        ConnectionError: instead, when a Postgres went away.
    """
    try:
        yield
    except duckdb.Error as error:
        # When it cannot reconnect, DuckDB quotes the password. The error itself is changed, because it is raised again
        # unless a connection was lost, and otherwise stays the context of the error raised here.
        message = _PASSWORD.sub(r"\g<of>…", str(error))
        refused = None if _GONE.search(message) else _REFUSED.search(message)
        if isinstance(error, duckdb.OutOfMemoryException):  # what it advises is nothing that a user can say
            short = message.partition("\n")[0]
            message = f"STOCKTAKE_MEMORY_LIMIT={settings().memory_limit} is not enough, raise it: {short}"
        error.args = (f"{_reason(refused['reason'])}{_IN}{refused['statement']}" if refused else message,)
        # DuckDB has no class for a lost connection: it raises its most general error, or that of a transaction.
        if not _GONE.search(str(error)):
            raise
        raise ConnectionError(str(error)) from None


def reason(error: Exception) -> str:
    """What an error says that went through ``guarded``: of Postgres its own words alone, without the statement."""
    said = str(error).partition(_IN)[0]
    return " ".join(said[said.find("ERROR:") :].split()) if "ERROR:" in said else said


def _reason(text: str) -> str:
    """What Postgres says, in one line; without the place in DuckDB's own statement, which only quotes the one sent."""
    return " ".join(text.partition("\n\nLINE ")[0].split())


def load_postgres(connection: duckdb.DuckDBPyConnection) -> None:
    """Let a connection read Postgres, and write files as Postgres' COPY reads them (``postgres_binary``)."""
    connection.execute(f"load {quoted(str(postgres_scanner()))}")


def attach(connection: duckdb.DuckDBPyConnection, name: str, url: SecretStr, *, read_only: bool) -> None:
    """Attach a Postgres database as ``name``.

    Raises:
        ConnectionError: when it cannot be reached; the message names host and database, never the password.
    """
    load_postgres(connection)
    conninfo = psycopg.conninfo.conninfo_to_dict(url.get_secret_value())
    dsn = psycopg.conninfo.make_conninfo("", **{"connect_timeout": 10, **conninfo, "client_encoding": "UTF8"})
    mode = ", read_only" if read_only else ""
    try:
        connection.execute(f"attach {quoted(dsn)} as {name} (type postgres{mode})")
        return
    except duckdb.Error as error:
        message = str(error)
    # Raised outside the handler, so that the original error, which quotes the password, is not even its context.
    where = f"{conninfo.get('user')}@{conninfo.get('host')}:{conninfo.get('port', 5432)}/{conninfo.get('dbname')}"
    reason = message.replace(dsn, where).replace(str(conninfo.get("password") or "\0"), "…")
    raise ConnectionError(f"no connection to {name}: {reason}")


def relation(
    files: Sequence[str],
    columns: Sequence[Column],
    *,
    of_other_columns: bool = False,
    scales: Mapping[str, int] = NO_SCALES,
) -> str:
    """A SQL relation over Parquet files with the given lake columns; over no files, an empty one of the same shape.

    Args:
        files: their paths.
        columns: the columns of the relation.
        of_other_columns: whether a file may lack a column (it is null then) or hold it in another type (it is cast
            then, and null where its value does not fit).
        scales: what to multiply some columns by, by lake name.
    """
    empty = ", ".join(f"cast(null as {column.type.duckdb}) as {column.lake_name}" for column in columns)
    if not files:
        return f"(select {empty} where false)"
    listed = ", ".join(quoted(file) for file in files)
    scaled = {
        # Of what is in quarantine, an amount may be any: one that is too large then is null, in quarantine again.
        column.lake_name: f"try_cast({column.lake_name}::hugeint * {scales[column.lake_name]} as bigint)"
        if column.lake_name in scales
        else column.lake_name
        for column in columns
    }
    if not of_other_columns:
        values = ", ".join(f"{value} as {name}" if value != name else name for name, value in scaled.items())
        return f"(select {values} from read_parquet([{listed}]))"
    values = ", ".join(
        f"try_cast({scaled[column.lake_name]} as {column.type.duckdb}) as {column.lake_name}" for column in columns
    )
    return f"""(
        select {values}
        from (
            select {empty} where false
            union all by name
            select * from read_parquet([{listed}], union_by_name = true)
        )
    )"""


def copy(connection: duckdb.DuckDBPyConnection, rows: str, file: str) -> None:
    """Write the rows of a query to a Parquet file of the lake, which is there whole or not at all."""
    with storage.whole(file) as unfinished:
        connection.execute(f"copy ({rows}) to {quoted(unfinished)} (format parquet)")


def repeated(rows: str, key: Sequence[str]) -> str:
    """A relation: the keys that several rows of others have, with ``_copies``, how many.

    They are few: to join them takes less than to count over a window, which would hold all columns of all rows.
    """
    listed = ", ".join(key)
    return f"(select {listed}, count(*) as _copies from {rows} group by {listed} having count(*) > 1)"


def keys(files: Sequence[str], key: str) -> str:
    """A query for the distinct keys (columns, separated by commas) in Parquet files; it needs at least one file."""
    return f"select distinct {key} from read_parquet([{', '.join(quoted(file) for file in files)}])"


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def postgres_scanner() -> Path:
    """The file of the extension that reads Postgres."""
    return _extension("postgres_scanner")


@cache
def _extension(name: str) -> Path:
    """The file of an extension in its wheel; loading it from there installs and downloads nothing."""
    return next(Path(str(files(f"duckdb_extension_{name}"))).rglob(f"{name}.duckdb_extension"))
