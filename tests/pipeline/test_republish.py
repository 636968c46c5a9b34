"""A past night is put back byte for byte, in one transaction, and the next night brings everything forward again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.lake import tables as lake
from include.ledger import runs
from include.pipeline import nightly, republish
from include.pipeline.republish import NightGone
from include.pipeline.run_request import WrongRequest
from include.settings import settings
from tests.nights import LAST_DAY, Nights

TOMORROW = LAST_DAY + timedelta(days=1)
STAYS = (
    "select * from audit.watermarks order by 1",
    "select * from audit.quarantine order by 1",
    "select * from audit.publication_sources order by 1, 2",
)


def reporting(nights: Nights) -> dict[str, str]:
    """A digest of every reporting table."""
    return {name: digest for name, digest in nights.published().items() if name.startswith("reporting.")}


def put_back(nights: Nights, day: date = LAST_DAY, **conf: Any) -> str:
    """Put a night back as the DAG ``republish`` does; gives the run's id."""
    run_id = f"put-back-{len(nights.ask('select from audit.runs'))}"
    republish.begin(run_id, {"night": day.isoformat(), **conf})
    republish.publish(run_id, nights.reporting)
    runs.finish_run(run_id, "success")
    return run_id


def let_a_day_pass(nights: Nights) -> None:
    """New costs, a smaller refund, a larger payment, a cancelled order of last week, a row that will be held."""
    nights.shop.execute("update order_items set unit_cost = unit_cost + 1, updated_at = now()")
    nights.shop.execute(
        "update refunds set amount = amount - 0.01, updated_at = now()"
        " where refund_id = (select max(refund_id) from refunds where amount > 1)"
    )
    nights.shop.execute(
        "update payments set amount = amount + 1, updated_at = now()"
        " where transaction_id = (select max(transaction_id) from payments where kind = 'capture')"
    )
    nights.shop.execute(
        "update orders set status = 'cancelled', cancelled_at = ordered_at, cancelled_by = 'shop', updated_at = now(),"
        " cancellation_reason = 'test' where order_id = (select max(order_id) from orders where status = 'processing')"
    )
    for table, change in (
        ("customers", "country = 'IS'"),
        ("products", "category = 'else'"),
        ("warehouses", "name = 'x'"),
    ):
        nights.shop.execute(f"update {table} set {change}, updated_at = now() where {table[:-1]}_id = 2".encode())
    nights.shop.execute("update customers set email = 'nobody', updated_at = now() where customer_id = 3")


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_past_night_is_put_back_byte_for_byte_and_the_next_night_brings_all_forward(
    every_table: Nights, at: Callable[..., None]
) -> None:
    nights = every_table
    then, features = reporting(nights), nights.published()
    let_a_day_pass(nights)
    # Of what a late snapshot finds, the tables of tomorrow know nothing yet.
    for table in ("runs", "publications"):
        nights.warehouse.execute(f"update audit.{table} set snapshot_at = %s".encode(), [TOMORROW])
    at(TOMORROW)
    nights.report(TOMORROW)
    now, stays = reporting(nights), [nights.ask(statement) for statement in STAYS]
    assert all(then[name] != now[name] for name in then)

    run_id = put_back(nights)
    assert reporting(nights) == then
    assert {name: digest for name, digest in nights.published().items() if name not in then} == {
        name: digest for name, digest in features.items() if name not in then
    }
    assert [nights.ask(statement) for statement in STAYS] == stays
    assert nights.ask(
        "select dag, state, runs.night, publications.horizon, built_from, publication_id from audit.runs"
        " join audit.publications using (run_id) where run_id = %s",
        run_id,
    ) == [("republish", "success", LAST_DAY, LAST_DAY, 1, 4)]
    assert nights.ask(
        "select schema_name, table_name, lake_version, rows, complete from audit.publication_tables"
        " where publication_id = 4 order by 2"
    ) == nights.ask(
        "select schema_name, table_name, lake_version, rows, complete from audit.publication_tables"
        " where publication_id = 1 order by 2"
    )  # fmt: skip
    status = nights.ask(
        "select distinct last_day, verdict from reporting.data_status where published_table like 'reporting.%%'"
    )
    assert status == [(LAST_DAY, f"put back: as the night of {LAST_DAY} was published, by publication 1")]

    put_back(nights, TOMORROW)
    assert reporting(nights) == now
    put_back(nights)
    assert reporting(nights) == then
    at(TOMORROW, hour=6)
    nights.report(TOMORROW)
    assert reporting(nights) == now
    assert nights.ask("select distinct night, horizon from audit.publications order by 1") == [
        (LAST_DAY, LAST_DAY), (TOMORROW, TOMORROW),
    ]  # fmt: skip


@pytest.mark.after_a_night
@pytest.mark.long
def test_of_a_night_that_was_published_twice_the_newest_counts_or_the_one_that_is_named(nights: Nights) -> None:
    first = reporting(nights)
    let_a_day_pass(nights)
    nights.report()
    second = reporting(nights)
    assert second != first
    nights.shop.execute("update order_items set unit_cost = unit_cost + 1, updated_at = now()")
    nights.report(TOMORROW)
    put_back(nights)
    assert reporting(nights) == second
    put_back(nights, publication=1)
    assert reporting(nights) == first
    put_back(nights, publication=3)
    assert reporting(nights) == second


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "there is no night None; one is written 2026-11-20"),
        ({"night": "yesterday"}, "there is no night 'yesterday'"),
        ({"night": TOMORROW.isoformat()}, f"{TOMORROW} was never published; published were {LAST_DAY}"),
        ({"night": LAST_DAY.isoformat(), "publication": 2}, f"2 is none of the night of {LAST_DAY}; .* are 1"),
        ({"date": LAST_DAY.isoformat()}, "unknown parameter date; there are night, publication"),
    ],
    ids=["no_night", "no_date", "never_published", "a_publication_of_features", "unknown"],
)
@pytest.mark.after_a_night
def test_what_was_never_published_is_refused_and_the_message_says_what_was(
    nights: Nights, form: dict[str, Any], said: str
) -> None:
    entered = nights.ask("select count(*) from audit.runs")
    with pytest.raises(WrongRequest, match=said):
        republish.begin("wrong", form)
    assert nights.ask("select count(*) from audit.runs") == entered


@pytest.mark.after_a_night
@pytest.mark.long
def test_what_the_lake_has_no_more_is_refused_before_anything_is_changed(nights: Nights) -> None:
    nights.shop.execute("update order_items set unit_cost = unit_cost + 1, updated_at = now()")
    old = lake.files("reporting", "orders", 0)
    nights.report(TOMORROW)
    for file in set(old) - set(lake.files("reporting", "orders")):
        Path(file).unlink()
    log = Path(settings().lake) / "reporting" / "order_lines" / "_delta_log"
    (log / f"{0:020}.json").unlink()
    before = [reporting(nights), nights.ask("select * from audit.publications")]
    with pytest.raises(NightGone) as refused:
        put_back(nights)
    assert str(refused.value) == (
        f"the night of {LAST_DAY} cannot be put back as it was; nothing is changed."
        " reporting.order_lines: version 0 is not in the lake any more"
        " | reporting.orders: version 0 is not in the lake any more"
    )
    assert [reporting(nights), nights.ask("select * from audit.publications")] == before


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_retry_after_the_commit_is_the_same_publication_and_a_later_one_is_not_overlooked(nights: Nights) -> None:
    run = put_back(nights)
    before = nights.ask("select * from audit.publications")
    republish.publish(run, nights.reporting)
    assert nights.ask("select * from audit.publications") == before
    later = nights.report(TOMORROW)
    forward = reporting(nights)
    put_back(nights)
    nightly.publish(later, nights.reporting)  # cleared, after something else was published
    assert reporting(nights) == forward
