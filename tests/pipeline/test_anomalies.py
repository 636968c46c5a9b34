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


@pytest.mark.long
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


@pytest.mark.long
def test_a_day_without_a_past_is_not_judged_and_the_report_says_so(nights: Nights) -> None:
    run, asked = judge(nights, LAST_DAY - timedelta(days=45))
    assert not asked
    assert anomalies.of_run(run) == []
    assert nights.ask("select count(*) > 50, count(high) from audit.measures where run_id = %s and day = %s", run, LAST_DAY - timedelta(days=45)) == [(True, 0)]  # fmt: skip # noqa: E501
    assert "Nothing was compared: too few days" in render(run)


@pytest.mark.long
def test_where_the_contract_asks_the_night_waits_for_these_figures_alone(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOURCES, "orders", replace(SOURCES["orders"], asks_about=("channel *", "blank ship*")))
    one_channel(nights)
    nights.shop.execute(f"update orders set shipping_address = null where {OF_LAST_DAY}".encode())
    run, asked = judge(nights)
    assert asked
    question_ = approvals.latest(run)
    assert question_ is not None
    subject, body = question(question_.evidence)
    assert subject.startswith("Figures of the day are unusual: orders: blank ship")
    assert "orders: channel phone 100.0%, expected" in subject
    assert "The day is published as it is." in body
    with pytest.raises(NightStopped, match=r"orders: channel phone 100\.0%"):
        nightly.accept(run)
    approvals.record_answer(run, approvals.Answer.APPROVED, "ada")
    # As the question asks her to; her approval is of what she was asked.
    some = {"date": str(LAST_DAY), "reason": "a campaign", "source": "orders", "measure": "channel phone"}
    explanation.explain(some, "ada")
    nightly.accept(run)
    nights.build(run, nights.reporting)
    nightly.publish(run, nights.reporting)
    assert "figures of the day are <a href" in render(run)

    explanation.explain({"date": str(LAST_DAY), "reason": "the web shop was down", "source": "orders"}, "ada")
    again, asked = judge(nights)
    assert not asked, "who has explained a day is not asked about it"
    finding = found(again)["orders", "channel phone"]
    assert (finding.reason, finding.explained_by, finding.asks) == ("the web shop was down", "ada", True)
    assert "the web shop was down (ada)" in render(again)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"date": "2026-03-31"}, "say why the day was as it was"),
        ({"reason": "a sale"}, "there is no day None"),
        ({"date": "31.3.", "reason": "a sale"}, "there is no day '31.3.'"),
        ({"date": "2026-03-31", "reason": "a sale", "table": "orders"}, "unknown parameter table"),
        ({"date": "2026-03-31", "reason": "a sale", "source": "order"}, "nothing was ever measured of order:"),
        ({"date": "2026-03-31", "reason": "a sale", "measure": "taxes"}, "nothing was ever measured of taxes:"),
    ],
)
def test_an_explanation_of_nothing_is_refused(empty_ledger: Database, form: dict[str, str], message: str) -> None:
    with pytest.raises(WrongRequest, match=message):
        explanation.explain(form, "ada")
    with empty_ledger.connect("analyst") as warehouse:
        assert warehouse.execute("select count(*) from audit.explanations").fetchone() == (0,)
