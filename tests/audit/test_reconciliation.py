"""Conservation: what a night makes adds up; what is planted to break it is caught, named, and never published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable

from include.audit.reconciliation import balances, prove
from include.contract import ContractError
from include.contract.types import day_number
from include.demo_shop.planting import plant
from include.lake import tables as lake
from include.ledger import builds, runs
from include.pipeline import declarations, nightly, table_build
from include.settings import ROOT, settings
from include.sources import SOURCES, shop_sources
from tests.nights import LAST_DAY, SOME, Nights
from transforms.build import Built, build
from transforms.registry import TABLES, buildable

BALANCES = {balance.name for balance in balances(SOURCES)}
Spoil = Callable[[dict[str, Sequence[str]]], None]


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """Those that have balances."""
    return SOME


def figures(nights: Nights, run: str) -> dict[str, tuple[bool, int, int]]:
    """Of every proof of a run: whether it held, groups compared, groups that differ."""
    rows = nights.ask("select audit, held, groups, differing from audit.conservation where run_id = %s", run)
    return {name: (held, groups, differing) for name, held, groups, differing in rows}


def build_wrongly(run: str, table: str, spoil: Spoil) -> None:
    """Build one table of a run from other files than it was given."""
    one = TABLES[table]

    def builder(name: str, files: Mapping[str, Sequence[str]], *arguments: Any, **named: Any) -> Built:
        spoiled = dict(files)
        spoil(spoiled)
        return build(name, spoiled, *arguments, **named)

    table_build.build(run, one.table, one.layers, one.sources, builder, one.code)


def failed(nights: Nights, run: str) -> set[str]:
    """Weigh what a run built; gives the proofs that do not hold."""
    built = declarations.typed(nights.reporting)
    found = prove(runs.find_run(run), shop_sources(settings().sources), built, builds.built_versions(run))
    return {proof.audit for proof in found if not proof.held}


def doubled(source: str) -> Spoil:
    """Have every row of an input twice, as a join that fans out does."""

    def spoil(files: dict[str, Sequence[str]]) -> None:
        files[source] = [*files[source], *files[source]]

    return spoil


def dropped(source: str, row: str, folder: Path) -> Spoil:
    """Have an input without some rows."""

    def spoil(files: dict[str, Sequence[str]]) -> None:
        rest = folder / f"{source}.parquet"
        duckdb.execute(f"copy (from read_parquet({list(files[source])}) where not ({row})) to '{rest}'")
        files[source] = [str(rest)]

    return spoil


def test_every_balance_names_tables_that_exist() -> None:
    known = {f"reporting.{name}" for name, one in TABLES.items() if one.table.schema == "reporting"}
    known |= {f"{layer}.{name}" for layer in ("clean", "quarantine") for name in SOURCES}
    assert BALANCES
    for balance in balances(SOURCES):
        assert balance.needs
        assert balance.needs <= known


@pytest.mark.after_a_night
@pytest.mark.long
def test_every_proof_holds_on_a_night_with_refunds_cancellations_deletions_and_quarantine(nights: Nights) -> None:
    plant(nights.shop, ["total_mismatch", "negative_quantity", "refund_exceeds_line", "negative_stock"])
    nights.shop.execute(
        "delete from refunds where refund_id = (select max(refund_id) from refunds where not restocked)"
    )
    run = nights.report()
    found = figures(nights, run)
    assert set(found) == BALANCES | {f"published_{table.name}" for table in nights.reporting}
    assert nights.ask("select count(distinct currency) > 1 from reporting.daily_sales") == [(True,)]
    assert {name for name, (held, groups, _) in found.items() if not held or not groups} == set()
    assert nights.ask(
        "select sum(held_rows) > 4, sum(deleted), bool_and(known + extracted = replaced + deleted + clean_rows"
        " + held_rows), bool_or(replaced > 0) from audit.source_counts where run_id = %s",
        run,
    ) == [(True, 1, True, True)]
    [(features,)] = nights.ask("select run_id from audit.runs where dag = 'features'")
    assert figures(nights, features).keys() == {"published_customer_activity"}


@pytest.mark.long
def test_every_proof_holds_on_a_dry_run_for_a_day_that_much_has_followed(nights: Nights) -> None:
    run = nights.report(LAST_DAY - timedelta(days=20), dry_run=True)
    found = figures(nights, run)
    assert set(found) == BALANCES
    assert {name for name, (held, groups, _) in found.items() if not held or not groups} == set()


@pytest.mark.after_a_night
@pytest.mark.long
def test_every_proof_holds_on_a_shop_that_lost_everything(nights: Nights) -> None:
    tables = ", ".join(SOURCES)
    nights.shop.execute(f"truncate {tables} cascade".encode())
    run = replace(nights, approves=True).report()
    found = figures(nights, run)
    assert set(found) == BALANCES | {f"published_{table.name}" for table in nights.reporting}
    assert {name for name, (held, _, _) in found.items() if not held} == set()
    assert {name for name, (_, groups, _) in found.items() if groups} == {"source_rows_accounted"}
    assert nights.ask(
        "select sum(deleted) > 1500, sum(known - deleted), sum(source_rows) from audit.source_counts where run_id = %s",
        run,
    ) == [(True, 0, 0)]


def test_a_shop_without_stock_is_weighed_without_it() -> None:
    sources = shop_sources(ROOT / "include" / "sources" / "complete_journey")
    held = {f"{layer}.{name}" for layer in ("clean", "quarantine") for name in sources}
    held |= {f"reporting.{name}" for name in buildable(sources).of("reporting")}
    weighed = {balance.name for balance in balances(sources) if balance.needs <= held}
    assert BALANCES - weighed == {"stock_balance", "stock_equals_movements", "stock_on_hand"}


# What is planted into a build, by what its table is, and which proofs catch it.
FAN_OUTS = {
    "order_lines": ("refunds", {"lines_equal_accepted"}),
    "orders": ("order_lines", {"orders_equal_accepted", "orders_equal_lines"}),
    "daily_sales": ("refunds", {"days_equal_orders", "days_equal_products", "days_equal_refunds"}),
    "daily_sales_by": ("refunds", {"days_equal_dimensions"}),
    "daily_product_sales": ("refunds", {"days_equal_products"}),
    "refunds_daily": ("refunds", {"days_equal_refunds"}),
    "discounts": ("reporting_orders", {"days_equal_discounts"}),
    "payments_daily": ("payments", {"payments_equal_accepted"}),
    "receivables_daily": ("payments_daily", {"receivables_equal_days", "receivables_carried_on"}),
    "inventory_daily": ("inventory_movements", {"stock_equals_movements", "stock_on_hand"}),
}
DROPPED_ROWS = {
    "order_lines": ("order_items", "order_item_id = 7", {"lines_equal_accepted"}),
    "orders": ("orders", "order_id = 7", {"orders_equal_accepted", "orders_equal_lines"}),
    "daily_sales": ("reporting_orders", "order_id = 7", {"days_equal_orders"}),
    "daily_sales_by": ("reporting_orders", "order_id = 7", {"days_equal_dimensions"}),
    "daily_product_sales": ("order_lines", "order_item_id = 7", {"days_equal_products"}),
    "refunds_daily": ("refunds", "refund_id = 7", {"days_equal_refunds"}),
    "discounts": ("reporting_orders", "discount_cents > 0 and status <> 'cancelled'", {"days_equal_discounts"}),
    "payments_daily": ("payments", "payment_id = 7", {"payments_equal_accepted"}),
    "receivables_daily": ("daily_sales", "currency = 'USD'", {"receivables_equal_days", "receivables_carried_on"}),
    "inventory_daily": ("inventory_movements", "movement_id = 7", {"stock_equals_movements", "stock_on_hand"}),
    "incoming_stock": ("purchase_order_lines", "purchase_order_line_id = 7", {"purchases_equal_lines"}),
}
# A join on the customer drops the guests' rows.
DROPPED_GUESTS = {
    "order_lines": ("orders", "customer_id is null", {"lines_equal_accepted"}),
    "orders": ("orders", "customer_id is null", {"orders_equal_accepted", "orders_equal_lines"}),
    "daily_sales": ("reporting_orders", "customer_id is null", {"days_equal_orders"}),
    "daily_sales_by": ("reporting_orders", "customer_id is null", {"days_equal_dimensions"}),
    "daily_product_sales": ("order_lines", "customer_id is null", {"days_equal_products"}),
}


# What no line explains, counted twice; a build that joins only what has an order drops the rest.
GIVEN_BACK = {
    "orders": {"orders_equal_accepted"},
    "daily_sales": {"days_equal_orders"},
    "daily_sales_by": {"days_equal_dimensions"},
}


def test_what_is_planted_is_planted_into_tables_that_are_built() -> None:
    # A row of its one input is a row of incoming_stock: what comes twice is merged by its key into one.
    assert FAN_OUTS.keys() == DROPPED_ROWS.keys() - {"incoming_stock"}, "each table is spoiled in both ways"
    assert DROPPED_GUESTS.keys() | FAN_OUTS.keys() <= set(SOME), (
        "SOME of tests/nights.py lists the tables that are built here"
    )


@pytest.mark.after_a_night
@pytest.mark.long
def test_every_fan_out_and_every_dropped_row_is_caught_by_name(nights: Nights, tmp_path: Path) -> None:
    run = nights.begin(full_refresh=True)
    nightly.extract(run)
    nights.judge_and_build(run)
    sound = builds.built_versions(run)
    assert failed(nights, run) == set()
    assert nights.shop.execute("select count(*) > 20 from orders where customer_id is null").fetchone() == (True,)
    assert nights.shop.execute("select count(*) > 0 from order_refunds where order_id is null").fetchone() == (True,)
    spoilt: list[tuple[str, Spoil, set[str]]] = [
        *((table, doubled(source), caught) for table, (source, caught) in FAN_OUTS.items()),
        *((table, dropped(source, row, tmp_path), caught) for table, (source, row, caught) in DROPPED_ROWS.items()),
        *((table, dropped(source, row, tmp_path), caught) for table, (source, row, caught) in DROPPED_GUESTS.items()),
        *((table, doubled("order_refunds"), caught) for table, caught in GIVEN_BACK.items()),
        ("daily_sales", dropped("order_refunds", "order_id is null", tmp_path), {"days_equal_orders"}),
    ]
    for number, (table, spoil, caught) in enumerate(spoilt):
        build_wrongly(run, table, spoil)
        assert caught <= failed(nights, run), (number, table)
        nights.warehouse.execute(
            "update audit.builds set lake_version = %s where run_id = %s and table_name = %s",
            [sound[table], run, table],
        )
    assert failed(nights, run) == set()

    stock = DeltaTable(lake.folder("reporting", "inventory_daily"))
    stock.restore(sound["inventory_daily"])
    stock.update({"opening_units": "opening_units + 1"}, predicate=f"product_id = 7 and day = {day_number(LAST_DAY)}")
    stocked = nights.ask(
        "update audit.builds set lake_version = %s where run_id = %s and table_name = 'inventory_daily' returning 1",
        stock.version(),
        run,
    )
    assert (stocked, failed(nights, run)) == ([(1,)], {"stock_balance"})

    copy = DeltaTable(lake.folder("clean", "customers"))
    copy.delete("customer_id = 7")
    nights.warehouse.execute(
        "update audit.source_counts set clean_version = %s where run_id = %s and source = 'customers'",
        [copy.version(), run],
    )
    assert failed(nights, run) == {"stock_balance", "source_rows_accounted"}
    shown = {name for *_, caught in (*FAN_OUTS.values(), *DROPPED_ROWS.values()) for name in caught}
    assert shown | {"stock_balance", "source_rows_accounted"} == BALANCES, "each was seen to fail"


@pytest.mark.after_a_night
def test_a_fan_out_stops_the_night_with_both_sides_and_the_first_keys(nights: Nights) -> None:
    nights = replace(nights, names=("order_lines", "orders", "daily_sales", "daily_product_sales"))
    run = nights.begin(full_refresh=True)  # of a night in which nothing changed, nothing would be built
    nightly.extract(run)
    nights.judge_and_build(run)
    build_wrongly(run, "daily_sales", doubled("refunds"))
    [(day, currency, returns)] = nights.shop.execute(
        "select refunded_at::date, currency, (sum(amount) * 1000)::bigint from refunds"
        " join order_items using (order_item_id) join orders using (order_id) where status <> 'cancelled'"
        " group by 1, 2 order by 1, 2 limit 1"
    ).fetchall()
    with pytest.raises(ContractError, match="nothing is published") as stopped:
        nightly.audit(run, nights.reporting)
    reasons = str(stopped.value).partition(". ")[2].split(" | ")
    assert [reason.partition(":")[0] for reason in reasons] == ["days_equal_orders", "days_equal_products"]
    first = f"day {day}, currency {currency}: "
    twice = f"returns_cents {returns:,} in orders, lines and refunds, {2 * returns:,} in daily_sales"
    assert first in reasons[0]
    assert twice in reasons[0].partition(first)[2].partition(";")[0]
    [(held, differing, examples)] = nights.ask(
        "select held, differing, examples from audit.conservation where run_id = %s and audit = 'days_equal_orders'",
        run,
    )
    assert (held, len(examples)) == (False, 5)
    assert differing > 5


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_value_changed_in_postgres_is_caught_and_nothing_is_published(nights: Nights) -> None:
    nights = replace(nights, names=("order_lines", "orders"))
    nights.shop.execute("update order_items set unit_cost = unit_cost + 1, updated_at = now() where order_item_id = 7")
    run = nights.begin()
    nightly.extract(run)
    nights.judge_and_build(run)
    before = nights.published(), nights.ask("select * from audit.publications")
    nights.warehouse.execute(
        """
        create function shave() returns trigger language plpgsql as
        $$ begin new.cost = new.cost - 0.01; return new; end $$;
        create trigger shave before insert on reporting.order_lines for each row execute function shave()
        """
    )
    with pytest.raises(ContractError, match="nothing is published") as refused:
        nightly.publish(run, nights.reporting)
    [(cost,)] = nights.shop.execute("select quantity * unit_cost from order_items where order_item_id = 7").fetchall()
    assert f"such as order_item_id 7: cost {cost} in the lake, {cost - Decimal('0.01')} in Postgres" in str(
        refused.value
    )
    assert (nights.published(), nights.ask("select * from audit.publications")) == before
    assert figures(nights, run)["published_order_lines"][::2] == (False, 1)
    assert figures(nights, run)["published_orders"][0]

    nights.warehouse.execute("drop trigger shave on reporting.order_lines")
    nightly.publish(run, nights.reporting)
    assert figures(nights, run)["published_order_lines"][::2] == (True, 0)
    assert nights.published() != before[0]
