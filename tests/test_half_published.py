"""Half-published is impossible: the publisher dies at every statement, or its backend does, while readers look on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.contract import Column, Rebuild, Table, Type
from include.ledger.connection import prepare
from include.settings import settings
from tests.conftest import Database
from tests.dying import die_at
from tests.handmade import Ready, night

FIRST, SECOND = date(2026, 11, 20), date(2026, 11, 21)
# The loader's processes are forks of one that has read what they need and has no thread.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", "tests.dying"])

TILL = Table(
    "reporting", "till", "One row per business day.",
    (Column("day", Type.DAY, "The day."), Column("amount", Type.CENTS, "Sum of its receipts.")),
    primary_key=("day",), rebuild=Rebuild.by("day"),
)  # fmt: skip
RECEIPTS = Table(
    "reporting", "receipts", "One row per receipt.",
    (Column("receipt_id", Type.INTEGER, "The receipt."), Column("amount", Type.CENTS, "What it comes to.")),
    primary_key=("receipt_id",),
)  # fmt: skip

# What a reader sees in one snapshot: the publication, and that every table is of it.
SEEN = """
select
    (select max(publication_id) from audit.publications),
    (select sum(amount)::text from reporting.till),
    (select sum(amount)::text from reporting.receipts),
    (select max(_publication_id) from reporting.till),
    (select count(*) from audit.publication_tables),
    (select count(*) from audit.restatements),
    (select max(changed_until)::date::text from audit.watermarks)
"""


@contextmanager
def readers(database: Database) -> Iterator[set[tuple[Any, ...]]]:
    """Two analysts who read again and again; what they saw."""
    seen: set[tuple[Any, ...]] = set()
    stop = threading.Event()

    def read() -> None:
        with psycopg.connect(database.url("analyst"), autocommit=True) as reader:
            while not stop.wait(0.002):
                row = reader.execute(SEEN).fetchone()
                assert row
                seen.add(row)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def prepared(warehouse_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ready]:
    """A published night, and the one after it, which changes a day of the first, ready to be published."""
    for name, value in {
        "STOCKTAKE_SHOP_URL": warehouse_database.url("extractor"),
        "STOCKTAKE_WAREHOUSE_URL": warehouse_database.url("loader"),
        "STOCKTAKE_TIMEZONE": "UTC",
        "STOCKTAKE_LAKE": str(tmp_path / "lake"),
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    prepare()
    day = FIRST - timedelta(days=1)
    orders: list[dict[str, Any]] = [{"order_id": 1, "currency": "EUR", "ordered_on": day}]
    receipts = [{"receipt_id": number, "amount_cents": 100} for number in range(1, 4)]
    night(
        FIRST,
        {"orders": orders},
        [(TILL, [{"day": day, "amount_cents": 100}, {"day": FIRST, "amount_cents": 200}]), (RECEIPTS, receipts)],
    ).publish()
    orders[0] |= {"subtotal_cents": 50}
    receipts = [{"receipt_id": 1, "amount_cents": 150}, *receipts[1:], {"receipt_id": 4, "amount_cents": 30}]
    yield night(
        SECOND,
        {"orders": orders},
        [
            (TILL, [
                {"day": day, "amount_cents": 150},
                {"day": FIRST, "amount_cents": 200},
                {"day": SECOND, "amount_cents": 30},
            ]),
            (RECEIPTS, receipts),
        ],
    )  # fmt: skip
    settings.cache_clear()


def look(database: Database) -> tuple[Any, ...]:
    """What a reader sees now."""
    with database.connect("analyst") as reader:
        row = reader.execute(SEEN).fetchone()
        assert row
        return row


@pytest.mark.parametrize(("how", "after"), [("process", True), ("backend", False)])
def test_whatever_dies_at_whichever_statement_readers_have_one_night_or_the_other(
    prepared: Ready, warehouse_database: Database, how: str, after: bool
) -> None:
    """Killed after every statement, which is before every commit too; and before every one, so after every commit."""
    old = look(warehouse_database)
    with readers(warehouse_database) as seen:
        places = _until_it_comes_through(lambda place: _exit_code(place, after, how, prepared))
        new = look(warehouse_database)
    assert places > 25
    assert old[:3] == (1, "3.00", "3.00")
    assert new == (2, "3.80", "3.80", 2, 4, 1, SECOND.isoformat())
    assert seen <= {old, new}
    assert old in seen
    with warehouse_database.connect("loader") as warehouse:
        left = warehouse.execute("select tablename from pg_tables where schemaname = 'staging'").fetchall()
    assert left == []


def _until_it_comes_through(died: Callable[[int], int]) -> int:
    """Try one place after the other, until there is none any more; gives how many there were."""
    for place in range(1, 500):
        if died(place) == 7:
            return place - 1
    raise AssertionError("it never came through")


def _exit_code(place: int, after: bool, how: str, ready: Ready) -> int:
    process = PROCESSES.Process(target=die_at, args=(place, after, how, ready, dict(os.environ)))
    process.start()
    process.join(120)
    assert process.exitcode is not None
    assert process.exitcode in ({0, 7} if how == "backend" else {-signal.SIGKILL, 7})
    return process.exitcode
