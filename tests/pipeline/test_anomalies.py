"""A night's day beside the days before it: what is found, what is asked, what counts, and what an operator reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from include.gate.row_outcomes import NightStopped
from include.ledger import anomalies, approvals
from include.pipeline import explanation, nightly
from include.pipeline.approval import question
from include.pipeline.run_request import WrongRequest
from include.serve.page import render
from include.sources import SOURCES
from tests.conftest import Database
from tests.nights import LAST_DAY, Nights

OF_LAST_DAY = "ordered_at >= '2026-03-31' and ordered_at < '2026-04-01'"


def one_channel(nights: Nights) -> None:
    """Every order of the last day comes from the same channel."""
    nights.shop.execute(f"update orders set channel = 'phone', updated_at = now() where {OF_LAST_DAY}".encode())


def found(run: str) -> dict[tuple[str, str], anomalies.Finding]:
    return {(one.source, one.measure): one for one in anomalies.of_run(run)}


def judge(nights: Nights, day: date = LAST_DAY) -> tuple[str, bool]:
    """A night up to the question; whether there is one."""
    run = nights.begin(day)
    nightly.extract(run)
    nights.judge(run)
    return run, nightly.check_tolerance(run)


def test_a_day_is_compared_with_the_past_that_a_first_night_finds(nights: Nights, old_shop: Database) -> None:
    one_channel(nights)
    run, asked = judge(nights)
    assert not asked
    one = found(run)["orders", "channel phone"]
    [(orders, keys)] = nights.shop.execute(
        f"select count(*), array_agg(order_id::text) from orders where {OF_LAST_DAY}".encode()
    ).fetchall()
    assert (one.value, one.rows_behind) == (1.0, orders)
    assert one.low <= one.usual <= one.high < 1
    assert set(one.examples) <= set(keys)
    assert "orders: channel phone 100.0%, expected" in one.sentence
    with old_shop.connect("extractor") as shop:  # the query is for the shop's own database, as whoever reads it
        for finding in found(run).values():
            assert shop.execute(finding.rows_sql.encode()).rowcount >= finding.rows_behind, finding.measure
        assert shop.execute(one.rows_sql.encode()).rowcount == orders
    page = render(run)
    assert one.sentence in page
    assert "channel = &#39;phone&#39;" in page
