"""More in quarantine than is tolerated: what an operator is told, and what their answer is good for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from include.contract import Severity
from include.contract.currency import written
from include.contract.rules import between
from include.gate.row_outcomes import NightStopped
from include.lake import tables as lake
from include.ledger import approvals
from include.pipeline import nightly
from include.pipeline.approval import Approval, NotApproved, question
from include.serve import page
from include.settings import settings
from include.sources import SOURCES
from tests.nights import Nights

LOST = 15  # orders, in a shop of 1,500: few, but more than its contract then tolerates


@pytest.fixture
def lost(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run whose rows wait at the gate: of more orders than are tolerated the status is unknown."""
    monkeypatch.setitem(SOURCES, "orders", replace(SOURCES["orders"], tolerance=0.0))
    lose(nights, LOST)
    run = nights.begin()
    nightly.extract(run)
    judge(run)
    return run


def lose(nights: Nights, orders: int) -> None:
    nights.shop.execute("alter table orders drop constraint if exists orders_status_check")
    nights.shop.execute(
        "update orders set status = 'lost', updated_at = now() where order_id in"
        " (select order_id from orders where cancelled_at is null order by order_id limit %s)",
        [orders],
    )


def judge(run: str) -> None:
    for name in SOURCES:
        nightly.validate(run, name)


def answered(run: str, *options: str, who: str = "ada") -> Any:
    """Have Airflow's operator take an answer, as the API hands it on."""
    event = {
        "chosen_options": list(options), "params_input": {}, "responded_at": datetime.now(UTC),
        "responded_by_user": {"id": "1", "name": who},
    }  # fmt: skip
    return Approval(task_id="approve", run_id=run).execute_complete({}, event)


def versions() -> dict[str, int | None]:
    return {f"{layer}.{name}": lake.version(layer, name) for layer in ("clean", "quarantine") for name in SOURCES}


@pytest.mark.after_a_night
def test_the_evidence_says_how_many_what_they_are_worth_and_why(nights: Nights, lost: str) -> None:
    before = versions()
    assert nightly.check_tolerance(lost)
    asked = approvals.latest(lost)
    assert asked is not None
    assert asked.answer is None
    money = {
        currency: f"{amount:.3f}"
        for currency, amount in nights.shop.execute(
            "select currency, sum(total) from orders where status = 'lost' group by 1"
        )
    }
    orders, items = asked.evidence[:2]
    [(total,)] = nights.shop.execute("select count(*) from orders").fetchall()
    assert (orders["source"], orders["over"], orders["held"], orders["total"]) == ("orders", True, LOST, total)
    assert orders["amounts"] == money
    assert orders["rules"][0] == {
        "rule": "status_known", "meaning": orders["rules"][0]["meaning"], "rows": LOST, "amounts": money,
    }  # fmt: skip
    assert [sample["values"]["status"] for sample in orders["samples"]] == ["lost"] * 3
    assert set(orders["samples"][0]["values"]) < {column.lake_name for column in SOURCES["orders"].lake_columns}
    assert (items["source"], items["over"], items["amounts"]) == ("order_items", False, {})
    assert items["rules"][0]["rule"] == "follows_orders"
    assert versions() == before

    subject, body = question(asked.evidence)
    assert subject == f"More rows in quarantine than tolerated: {LOST} of {total:,} orders"
    for told in (
        "**Approve**",
        "**Reject**",
        "**No answer** within 4 h",
        "`status_known`",
        '`"lost"`',
        "Tolerated are",
    ):
        assert told in body
    assert f"{items['held']} of {items['total']:,} order_items" in body
    for currency, amount in money.items():
        assert f"{written(Decimal(amount), currency)} {currency}" in body


@pytest.mark.usefixtures("nights")
def test_a_question_holds_no_secret_and_nothing_that_markdown_would_make_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    password = "hunter-2-hunter"  # noqa: S105
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", f"postgresql://reader:{password}@shop.invalid/shop")
    settings.cache_clear()
    wild = f"`![x](http://evil.invalid)\n# {password} {'y' * 500}"
    sample = {"key": "1", "rules": ["status_known"], "values": {"status": wild}}
    one = {"source": "orders", "held": 1, "total": 2, "tolerance": 0.1, "over": True, "amounts": {}, "rules": []}
    _, body = question([one | {"samples": [sample]}])
    assert password not in body
    [line] = [line for line in body.splitlines() if "evil" in line]
    assert line.count("`") == 6
    assert len(line) < 200


@pytest.mark.after_a_night
@pytest.mark.long
def test_an_approved_night_holds_just_these_rows_and_publishes_the_rest(nights: Nights, lost: str) -> None:
    assert nightly.check_tolerance(lost)
    with pytest.raises(NightStopped, match=rf"orders: {LOST} of .* would be in quarantine, more than 0.0%"):
        nightly.accept(lost)
    answered(lost, "Approve")
    nightly.accept(lost)
    nights.build(lost, nights.reporting)
    nightly.publish(lost, nights.reporting)
    held = nights.ask("select count(*) from audit.quarantine where source = 'orders' and outcome = 'open'")
    assert held == [(LOST,)]
    assert nights.ask("select answer, answered_by from audit.approvals") == [("approved", "ada")]
    assert "approved by ada" in " ".join(page.render(lost).replace("</strong>", "").split())

    # What waits for approval is what is new: the next night asks again, for it too is beyond the tolerance.
    later = nights.begin()
    nightly.extract(later)
    judge(later)
    assert nightly.check_tolerance(later)
    assert approvals.approved(later) is None


@pytest.mark.after_a_night
def test_a_question_that_nobody_heard_is_put_anew_not_twice(nights: Nights, lost: str) -> None:
    nightly.check_tolerance(lost)
    nightly.check_tolerance(lost)  # the first try died after it had asked
    answered(lost, "Approve")
    assert nights.ask("select answer from audit.approvals") == [("approved",)]
    assert "no answer yet" not in page.render(lost)


@pytest.mark.after_a_night
def test_a_question_that_a_mended_shop_answers_is_taken_back(nights: Nights, lost: str) -> None:
    nightly.check_tolerance(
        lost
    )  # dies after it had asked; meanwhile the shop is mended, and the run cleared from its extraction
    nights.shop.execute("update orders set status = 'delivered', updated_at = now() where status = 'lost'")
    nightly.extract(lost)
    judge(lost)
    assert not nightly.check_tolerance(lost)
    assert nights.ask("select count(*) from audit.approvals") == [(0,)]
    assert "Waits for you" not in page.render(lost)


@pytest.mark.after_a_night
def test_an_approval_is_good_for_these_rows_alone(nights: Nights, lost: str) -> None:
    before = versions()
    nightly.check_tolerance(lost)
    answered(lost, "Approve")
    lose(nights, LOST + 1)
    nightly.extract(lost)
    judge(lost)
    with pytest.raises(NightStopped, match="no longer those that were approved: clear check_tolerance"):
        nightly.accept(lost)
    assert versions() == before
    nightly.check_tolerance(lost)
    with pytest.raises(NightStopped, match=rf"orders: {LOST + 1} of"):
        nightly.accept(lost)
    answered(lost, "Approve")
    assert nightly.accept(lost)["orders"]["held_rows"] == LOST + 1


@pytest.mark.after_a_night
def test_no_and_no_answer_leave_everything_as_it_was(nights: Nights, lost: str) -> None:
    published, before = nights.published(), versions()
    nightly.check_tolerance(lost)
    assert "Waits for you" in page.render(lost)
    with pytest.raises(NotApproved, match=r"ada rejected it; nothing is published, yesterday's tables stay"):
        answered(lost, "Reject")
    with pytest.raises(NightStopped):
        nightly.accept(lost)
    nightly.check_tolerance(lost)
    timeout = {"error": "too late", "error_type": "timeout"}
    with pytest.raises(NotApproved, match="nobody answered within 4 h"):
        Approval(task_id="approve", run_id=lost).execute_complete({}, timeout)
    with pytest.raises(NightStopped):
        nightly.accept(lost)
    assert nights.ask("select answer, answered_by from audit.approvals order by approval_id") == [
        ("rejected", "ada"), ("unanswered", None),
    ]  # fmt: skip
    assert (nights.published(), versions()) == (published, before)


@pytest.mark.after_a_night
def test_nobody_is_asked_within_the_tolerance(nights: Nights) -> None:
    lose(nights, LOST)
    run = nights.begin()
    nightly.extract(run)
    judge(run)
    assert not nightly.check_tolerance(run)
    assert nightly.accept(run)["orders"]["held_rows"] == LOST
    assert nights.ask("select count(*) from audit.approvals") == [(0,)]


@pytest.mark.after_a_night
def test_nobody_is_asked_about_a_rule_that_stops(nights: Nights, lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    products = SOURCES["products"]
    cheap = between("unit_price_cents", "price_not_odd", "No unit sells for a cent.", least=100_000_000)
    monkeypatch.setitem(
        SOURCES, "products", replace(products, rules=(*products.rules, replace(cheap, severity=Severity.STOP)))
    )
    nights.shop.execute("update products set updated_at = now()")
    nightly.extract(lost)
    judge(lost)
    with pytest.raises(NightStopped, match=rf"products, rule price_not_odd: 43 rows.* \| orders: {LOST} of"):
        nightly.check_tolerance(lost)
    assert nights.ask("select count(*) from audit.approvals") == [(0,)]
