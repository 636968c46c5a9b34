"""The quarantine is judged again without a shop: what passes flows in where it belongs, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from include.contract.currency import written
from include.demo_shop.planting import plant
from include.ledger import runs
from include.ledger.connection import connect
from include.ledger.summary import summary
from include.pipeline import nightly, replay, republish
from include.pipeline.replay import NotOver
from include.pipeline.run_request import WrongRequest
from include.serve.page import render
from include.settings import settings
from include.sources import SOURCES
from tests.nights import LAST_DAY, Nights

NAMES = ("order_lines", "orders", "daily_sales", "daily_product_sales", "customers", "customer_rfm")
DEFECTS = ("reason_without_cancellation", "cancelled_without_reason", "malformed_email")
LOOSENED = {"only_cancelled_has_reason": None, "cancelled_has_reason": None}
STAYS = (
    "select * from audit.watermarks order by 1",
    "select * from audit.quarantine where source = 'customers' order by 1",
)

Rules = Callable[[Mapping[str, str | None]], None]


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Rules:
    """Have rules of orders called otherwise, or taken away, by their names; all others are as they were."""
    orders = SOURCES["orders"]

    def change(names: Mapping[str, str | None]) -> None:
        called = [(rule, names.get(rule.name, rule.name)) for rule in orders.rules]
        changed = tuple(replace(rule, name=name) for rule, name in called if name)
        monkeypatch.setitem(SOURCES, "orders", replace(orders, rules=changed))

    return change


def planted(nights: Nights) -> dict[str, str]:
    """Plant the defects; gives the key of each one's row."""
    with nights.shop.transaction():
        return {one.name: one.key for one in plant(nights.shop, DEFECTS)}


def changed_rows(nights: Nights, run: str) -> int | None:
    """How many rows a run's publication changed; None where it published nothing."""
    [(rows,)] = nights.ask(
        "select sum(inserted + deleted)::bigint from audit.publication_tables join audit.publications"
        " using (publication_id) where run_id = %s",
        run,
    )
    found: int | None = rows
    return found


def sales(nights: Nights) -> dict[Any, Any]:
    """The rows of every day."""
    rows = nights.ask(
        "select day, jsonb_agg(to_jsonb(one) - '_publication_id') from reporting.daily_sales as one group by 1"
    )
    return dict(rows)


def history(nights: Nights, source: str, key: str) -> list[tuple[Any, ...]]:
    """What every run made of a row: run, outcome, rules."""
    return nights.ask(
        "select run_id, outcome, rules from audit.verdicts where source = %s and row_key = %s order by judged_at",
        source,
        key,
    )


@contextmanager
def refusing_ledger() -> Iterator[None]:
    """Have the warehouse refuse that rows leave the quarantine."""
    with connect() as ledger:
        ledger.autocommit = True
        ledger.execute(
            "alter table audit.quarantine add constraint nothing_is_resolved check (outcome = 'open') not valid"
        )
        yield
        ledger.execute("alter table audit.quarantine drop constraint nothing_is_resolved")


def away(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Have the shop be elsewhere."""
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", url)
    settings.cache_clear()


@pytest.mark.after_a_night
@pytest.mark.long
def test_what_passes_a_loosened_rule_flows_into_its_days_and_the_history_tells_all(
    nights: Nights, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights, shop = replace(nights, names=NAMES), str(settings().shop_url.get_secret_value())
    keys = planted(nights)
    strict = nights.report()
    order, cancelled = keys["reason_without_cancellation"], keys["cancelled_without_reason"]
    before, days = nights.published(), sales(nights)
    money = dict(
        nights.shop.execute(
            "select currency, sum(total) from orders where order_id::text = any(%s) group by 1", [[order, cancelled]]
        ).fetchall()
    )
    assert "At stake in quarantine: " in summary(strict)
    assert "Released from it: " not in summary(strict)

    # Still bad, by another name: that is told, and nothing is published.
    away(monkeypatch, "postgresql://nobody@shop.invalid/shop")
    rules({"only_cancelled_has_reason": "reason_of_cancelled"})
    publications = nights.ask("select * from audit.publications")
    refused = nights.begin_replay()
    nights.judge(refused)
    with refusing_ledger(), pytest.raises(psycopg.errors.CheckViolation, match="nothing_is_resolved"):
        replay.sift(refused)
    runs.finish_run(refused, "failed")
    assert nights.ask("select tablename from pg_tables where schemaname = 'staging'") == []
    vain = nights.replay()
    assert nights.ask("select * from audit.publications") == publications
    assert "nothing to release: nothing was published" in summary(vain)
    assert "Nothing to release" in render(vain)
    assert "At stake" in render(vain)

    # The same gate, now without both rules; readers of other days, watermarks and the customer see nothing of it.
    stays = [nights.ask(statement) for statement in STAYS]
    rules(LOOSENED)
    run = nights.replay()
    [(publication,)] = nights.ask("select publication_id from audit.publications where run_id = %s", run)
    assert [nights.ask(statement) for statement in STAYS] == stays
    belongs = nights.shop.execute(
        "select distinct (ordered_at at time zone 'UTC')::date from orders where order_id::text = any(%s)",
        [[order, cancelled]],
    ).fetchall()
    assert {day for day, rows in sales(nights).items() if rows != days[day]} == {day for (day,) in belongs}
    assert nights.ask(
        "select source, released, recalled, extracted, complete from audit.source_counts"
        " where run_id = %s and released + held_rows > 0 order by 1",
        run,
    ) == [
        ("customers", 0, 0, 0, True),
        *((source, rows, 0, 0, True) for source, rows in nights.ask(
            "select source, count(*) from audit.quarantine where outcome = 'released' group by 1 order by 1"
        )),
    ]  # fmt: skip
    assert nights.ask("select count(*) from audit.quarantine where outcome = 'released' and source = 'orders'") == [
        (2,)
    ]
    assert nights.ask("select bool_and(held), count(*) > 5 from audit.conservation where run_id = %s", run) == [
        (True, True)
    ]
    causes = nights.ask(
        "select distinct day, key from audit.restatements"
        " cross join jsonb_array_elements_text(causes -> 'orders' -> 'keys') as key"
        " where publication_id = %s and table_name = 'daily_sales' order by 1, 2",
        publication,
    )
    assert {day for day, _ in causes} == {day for (day,) in belongs}
    assert {key for _, key in causes} == {order, cancelled}
    told = "; ".join(f"{written(amount, currency)} {currency} in " for currency, amount in sorted(money.items()))
    assert f"Released from it: {told.split('; ')[0]}" in summary(run)
    assert "Released:" in render(run)

    # It is the newest publication of its night, and the copy that features are built from.
    assert runs.find_run(nights.begin_features(None)).built_from == publication
    assert republish.begin("put-back", {"night": LAST_DAY.isoformat()}).built_from == publication

    # The next night has nothing to add, nor has one that reads, judges and builds everything.
    away(monkeypatch, shop)
    after = nights.published()
    assert {name for name in after if after[name] != before[name]} >= {"reporting.orders", "reporting.daily_sales"}
    following = nights.report()
    assert changed_rows(nights, following) == 0
    anew = nights.report(full_refresh=True)
    assert changed_rows(nights, anew) == 0
    assert nights.published() == after

    # The rule is back, and the row is written once more.
    rules({})
    nights.shop.execute("update orders set updated_at = now() where order_id::text = %s", [order])
    again = nights.report()
    assert nights.published() != after
    rules(LOOSENED)
    dry = nights.replay(dry_run=True)
    assert changed_rows(nights, dry) is None
    assert history(nights, "orders", order)[-1][:2] == (again, "quarantined")
    last = nights.replay()  # the lake is ahead of what is published
    assert nights.published() == after
    assert history(nights, "orders", order) == [
        (strict, "quarantined", ["only_cancelled_has_reason"]),
        (vain, "still open", ["reason_of_cancelled"]),
        (run, "released", []),
        (again, "quarantined", ["only_cancelled_has_reason"]),
        (last, "released", []),
    ]
    assert [(one, outcome) for one, outcome, _ in history(nights, "customers", keys["malformed_email"])] == [
        (strict, "quarantined"),
        *((one, "still open") for one in (vain, run, following, anew, again, last)),
    ]
    assert nights.ask("select has_table_privilege('analyst', 'audit.verdicts', 'select')") == [(True,)]

    # What was published first may no longer be published over it.
    with pytest.raises(runs.Overtaken, match=f"{last} is ahead and has already done publish"):
        nightly.publish(again, nights.reporting)


@pytest.mark.after_a_night
def test_it_is_refused_while_a_night_is_not_over(nights: Nights) -> None:
    run = nights.begin()
    with pytest.raises(
        NotOver, match=f"run {run} of the night of {LAST_DAY} is not over: replay the quarantine when it is"
    ):
        nights.begin_replay()
    nightly.extract(run)
    nights.judge(run)
    runs.finish_run(run, "failed")  # before it changed anything
    begun = nights.begin_replay()
    with pytest.raises(NotOver, match=f"run {begun} of the night of {LAST_DAY} is not over"):
        nights.begin_replay()
    runs.finish_run(begun, "failed")
    nightly.accept(run)
    with pytest.raises(NotOver, match=f"run {run} of the night of {LAST_DAY} accepted rows that were never published"):
        nights.begin_replay()
    nights.warehouse.execute("update audit.runs set accepting = true where run_id = %s", [run])
    nights.warehouse.commit()
    with pytest.raises(NotOver, match=f"run {run} of the night of {LAST_DAY} died while it changed the lake"):
        nights.begin_replay()


def test_there_is_nothing_to_replay_before_a_night_and_nothing_unknown_to_ask(nights: Nights) -> None:
    with pytest.raises(WrongRequest, match="nothing is published yet: run nightly first"):
        nights.begin_replay()
    with pytest.raises(WrongRequest, match="unknown parameter full_refresh; there are engine, dry_run"):
        nights.begin_replay(full_refresh=True)
