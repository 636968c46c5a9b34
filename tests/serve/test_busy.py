"""A warehouse whose tables are locked: pages give up in time, those without a connection at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from include.serve import figures
from tests.conftest import Database
from tests.serve.conftest import published


def ends(number: int) -> tuple[str, float]:
    """How a page of many ends, and after how many seconds."""
    start = time.monotonic()
    try:
        figures.runs() if number % 2 else figures.status()
    except figures.Busy as busy:
        return str(busy), time.monotonic() - start
    return "shown", time.monotonic() - start


@pytest.mark.long
def test_pages_do_not_pile_up_behind_a_lock(ledger: Database) -> None:
    published(ledger, "a night")
    with ledger.connect("loader") as owner, ThreadPoolExecutor(45) as browsers:
        with owner.transaction():
            owner.execute("lock table audit.runs in access exclusive mode")
            waiting = [browsers.submit(ends, number) for number in range(45)]
            time.sleep(2)
            count = "select count(*) from pg_stat_activity where usename = 'loader' and datname = current_database()"
            with ledger.connect() as server:
                assert server.execute(count.encode()).fetchone() == (1 + 4,)
            found = [one.result() for one in waiting]
        assert {words.split(":")[0] for words, _ in found} == {
            "the warehouse did not answer within 10 s; a table may be locked",
            "other pages have all 4 connections",
        }
        assert sum(seconds > 5 for _, seconds in found) == 4, "the others are gone within a second"
        assert ends(1)[0] == "shown"
