"""Whole nights: complete, conserved, repeatable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import pytest

from include.contract import ContractError
from include.demo_shop.planting import plant, unplant
from include.lake import writes
from include.ledger.runs import Overtaken
from include.ledger.summary import summary
from include.pipeline import nightly, run_request
from include.settings import settings
from tests.nights import GROSS, LAST_DAY, SOME, Nights
from transforms.engines import Frame
from transforms.engines.duckdb_engine import DuckdbEngine

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)


@pytest.mark.after_a_night
def test_daily_sales_equal_independent_sql_to_the_cent(nights: Nights) -> None:
    """Discounts over all days: of an order to which a line was added, its share counts on another day."""
    expected = nights.shop.execute(
        f"""
        with days as (
            select (ordered_at at time zone 'UTC')::date as day, currency, count(*) as orders, 0 as cancelled,
                0.00 as gross, 0.00 as returns, sum(tax) as tax
            from orders where status <> 'cancelled' group by 1, 2
            union all
            select (coalesce(sold_at, ordered_at) at time zone 'UTC')::date, currency, 0, 0,
                sum({GROSS}), 0, 0
            from order_items join orders using (order_id) where status <> 'cancelled' group by 1, 2
            union all
            select (ordered_at at time zone 'UTC')::date, currency, 0, count(*), 0, 0, 0
            from orders where status = 'cancelled' group by 1, 2
            union all
            select (refunded_at at time zone 'UTC')::date, currency, 0, 0, 0, sum(amount), 0
            from refunds join order_items using (order_item_id) join orders using (order_id) group by 1, 2
            union all
            select (removed_at at time zone 'UTC')::date, currency, 0, 0, 0, sum({GROSS}), 0
            from order_items join orders using (order_id) where status <> 'cancelled' and removed_at is not null
            group by 1, 2
        )
        select day, currency, sum(orders)::bigint, sum(cancelled)::bigint, sum(gross), sum(returns), sum(tax)
        from days where day <= %s group by 1, 2
        having sum(orders) + sum(cancelled) + sum(returns) + sum(gross) > 0 order by 1, 2
        """.encode(),
        [LAST_DAY],
    ).fetchall()
    published = nights.ask(
        """
        select day, currency, orders, cancelled_orders, gross_sales, returns, tax
        from reporting.daily_sales where orders + cancelled_orders + returns + gross_sales > 0 order by 1, 2
        """
    )
    assert len(expected) > 60
    assert published == expected
    discounts = "select currency, sum({}) from {} group by 1 order by 1"
    kept = f"orders where status <> 'cancelled' and ordered_at < '{LAST_DAY + timedelta(days=1)}'"
    assert (
        nights.ask(discounts.format("discounts", "reporting.daily_sales"))
        == nights.shop.execute(discounts.format("discount", kept).encode()).fetchall()
    )
    assert nights.ask("select count(*) from reporting.daily_sales"
                      " where net_sales <> gross_sales - discounts - returns") == [(0,)]  # fmt: skip


@pytest.mark.parametrize("built_tables", [SOME], ids=["with stock"])
@pytest.mark.long
def test_stock_at_the_close_equals_the_shelves(nights: Nights) -> None:
    nights.report()
    shelves = nights.shop.execute("select product_id, warehouse_id, on_hand, reserved from inventory order by 1, 2")
    assert shelves.fetchall() == nights.ask(
        "select product_id, warehouse_id, closing_units, reserved from reporting.inventory_daily"
        " where day = %s order by 1, 2",
        LAST_DAY,
    )


@pytest.mark.after_a_night
def test_a_night_run_again_changes_nothing(nights: Nights) -> None:
    before = nights.published()
    again = nights.run()
    assert nights.published() == before
    assert nights.ask(
        "select sum(inserted), sum(deleted) from audit.publication_tables join audit.publications"
        " using (publication_id) where run_id = %s",
        again,
    ) == [(0, 0)]


@pytest.mark.long
def test_a_second_engine_agrees_and_the_ledger_says_so(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKTAKE_PARITY_PERCENT", "100")
    settings.cache_clear()
    run = nights.run(parity="duckdb")
    assert nights.ask(
        "select table_name, engine, other_engine, equal, difference from audit.parity where run_id = %s"
        " order by table_name",
        run,
    ) == [(name, "pandas", "duckdb", True, None) for name in sorted(one.name for one in nights.reporting)]


def test_engines_that_disagree_stop_the_night(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB is made to lose a cent of one line."""
    monkeypatch.setenv("STOCKTAKE_PARITY_PERCENT", "100")
    settings.cache_clear()
    read = DuckdbEngine.write

    def short_by_a_cent(engine: DuckdbEngine, frame: Frame, schema: Any, order: list[str], into: Path) -> list[str]:
        if "unit_price_cents" in schema.names:
            least = frame.select(nw.col("order_item_id").min()).collect().item()
            wrong = nw.when(nw.col("order_item_id") == least).then(1).otherwise(0)
            frame = frame.with_columns(nw.col("unit_price_cents") - wrong)
        return read(engine, frame, schema, order, into)

    monkeypatch.setattr(DuckdbEngine, "write", short_by_a_cent)
    with pytest.raises(
        ContractError, match=r"engines disagree.* unit_price_cents of order_item_id \d+ is (\d+) in pandas"
    ):
        nights.run(parity="duckdb")
    assert nights.ask("select table_name, equal from audit.parity where not equal") == [("order_lines", False)]
    assert nights.ask("select count(*) from audit.publications") == [(0,)]


@pytest.mark.parametrize("other", ["duckdb", "dask", "spark"])
@pytest.mark.long
def test_another_engine_publishes_the_same_rows(nights: Nights, clusters: Callable[[str], None], other: str) -> None:
    nights = replace(nights, names=("order_lines", "orders", "daily_sales"))
    nights.report(engine="pandas")
    before, digests = nights.published(), "select table_name, digest from audit.builds where engine = %s order by 1"
    clusters(other)
    nights.report(engine=other)
    assert nights.published() == before
    assert nights.ask(digests, other) == nights.ask(digests, "pandas")
    assert len(nights.ask(digests, other)) == len(nights.tables)
    assert nights.ask(
        "select sum(inserted + deleted) from audit.publication_tables where publication_id ="
        " (select max(publication_id) from audit.publications join audit.runs using (run_id) where dag = 'nightly')"
    ) == [(0,)]


def test_data_docs_are_written_only_where_they_are_wanted(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    run = nights.begin()
    nightly.extract(run)
    nightly.validate(run, "products")
    assert not list(Path(settings().reports).rglob("*.html"))
    monkeypatch.setenv("STOCKTAKE_DATA_DOCS", "true")
    settings.cache_clear()
    nightly.validate(run, "products")
    (page,) = Path(settings().reports).rglob("*.html")
    assert "unit_price_cents" in page.read_text()


@pytest.mark.after_a_night
@pytest.mark.long
def test_changes_of_a_day_arrive_as_a_full_refresh_would_bring_them(nights: Nights) -> None:
    nights.shop.execute(
        "update orders set status = 'cancelled', cancelled_at = now(), cancelled_by = 'shop', updated_at = now(),"
        " cancellation_reason = 'test' where order_id in (select order_id from orders where status = 'pending' limit 3)"
    )
    nights.shop.execute(
        "update order_items set unit_cost = unit_cost + 1, updated_at = now()"
        " where order_item_id in (select order_item_id from order_items limit 7)"
    )
    run = nights.run(LAST_DAY + timedelta(days=1))
    read = dict(nights.ask("select source, extracted from audit.source_counts where run_id = %s", run))
    assert (read["orders"], read["order_items"]) == (3, 7)
    incremental = nights.published()
    nights.run(LAST_DAY + timedelta(days=1), full_refresh=True)
    assert nights.published() == incremental


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_run_for_an_earlier_day_takes_no_later_days_away(every_table: Nights) -> None:
    before = every_table.published()
    every_table.run(LAST_DAY - timedelta(days=10))
    after = every_table.published()
    slices = {table.qualified_name: table.rebuild for table in every_table.tables if table.rebuild.kind == "as_of"}
    days = [LAST_DAY - timedelta(days=10), LAST_DAY]
    published = {
        name: [day for (day,) in every_table.ask(f"select distinct {rebuild.column} from {name} order by 1")]
        for name, rebuild in slices.items()
    }
    # The shop opened sixty days ago: nobody's next ninety have closed.
    assert published.pop("features.customer_labels") == []
    assert published == {name: [slices[name].slice_of(day) for day in days] for name in published}
    assert {name for name in before if before[name] != after[name]} == set(published)


@pytest.mark.after_a_night
@pytest.mark.long
def test_labels_are_published_for_the_day_whose_window_the_night_closed(every_table: Nights) -> None:
    """Against the orders themselves; and a night run again sets right what its slice holds."""
    as_of = LAST_DAY - timedelta(days=28)
    assert every_table.ask("select distinct as_of from features.demand_labels") == [(as_of,)]
    [(product, warehouse, units)] = every_table.ask(
        "select product_id, warehouse_id, units_next_28 from features.demand_labels"
        " order by units_next_28 desc, product_id, warehouse_id limit 1"
    )
    assert units > 0
    assert every_table.shop.execute(
        "select sum(quantity) from order_items join orders using (order_id)"
        " where product_id = %s and warehouse_id = %s and status <> 'cancelled'"
        " and (ordered_at at time zone 'UTC')::date > %s and (ordered_at at time zone 'UTC')::date <= %s",
        [product, warehouse, as_of, LAST_DAY],
    ).fetchall() == [(units,)]
    before = every_table.published()
    every_table.warehouse.execute("update features.demand_labels set units_next_28 = units_next_28 + 1")
    every_table.warehouse.commit()
    every_table.run()
    assert every_table.published() == before


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_night_that_was_overtaken_neither_accepts_nor_publishes(nights: Nights) -> None:
    early, late = nights.begin(), nights.begin()
    nightly.extract(early)
    nightly.extract(late)
    nights.judge_and_build(late)
    with pytest.raises(Overtaken, match=f"{late} is ahead and has already done accept"):
        nights.judge_and_build(early)
    nights.run()
    before = nights.published()
    with pytest.raises(Overtaken, match="has already done publish"):
        nightly.publish(late, nights.reporting)
    assert nights.published() == before


@pytest.mark.long
def test_a_night_that_began_before_a_later_day_was_published_does_not_take_it_away(nights: Nights) -> None:
    early = nights.begin(LAST_DAY - timedelta(days=3))
    nights.run(LAST_DAY)
    before = nights.published()
    nightly.extract(early)
    nights.judge_and_build(early)
    with pytest.raises(Overtaken, match="is ahead and has already done publish"):
        nightly.publish(early, nights.reporting)
    assert nights.published() == before


@pytest.mark.long
def test_a_run_that_begins_again_for_later_days_does_not_take_what_it_built_before_for_theirs(nights: Nights) -> None:
    nights = replace(nights, names=("order_lines",))
    early = nights.begin(LAST_DAY - timedelta(days=4))
    nights.report(LAST_DAY)
    before = nights.published()
    nightly.extract(early)
    nights.judge_and_build(early)  # as of its own day: the last build there is now
    nights.begin_again(early, LAST_DAY - timedelta(days=4))
    nightly.extract(early)
    nights.judge_and_build(early)
    nightly.publish(early, nights.reporting)
    assert nights.published() == before


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_run_that_died_between_the_layers_is_put_right_by_the_next(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nights.shop.transaction():
        plant(nights.shop, ["nan_price"])
    run = nights.begin()
    nightly.extract(run)
    replace = writes.replace
    with monkeypatch.context() as dying:
        dying.setattr(
            writes, "replace", lambda layer, *rest: _die() if layer == "quarantine" else replace(layer, *rest)
        )
        with pytest.raises(KeyboardInterrupt):
            nights.judge_and_build(run)
    with nights.shop.transaction():
        unplant(nights.shop)
    before = nights.published()
    nights.run()
    assert nights.published() == before
    nights.run(full_refresh=True)
    assert nights.published() == before


def _die() -> None:
    raise KeyboardInterrupt


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_line_deleted_in_the_shop_holds_its_order(nights: Nights) -> None:
    nights.set_aside(*((table, f"{table}_order_item_id_fkey") for table in ("inventory_movements", "refunds")))
    nights.shop.execute("delete from order_items where order_item_id = 1")
    nights.run()
    incremental = nights.published()
    held = "select source, row_key, rules from audit.quarantine where outcome = 'open' order by 1, 2"
    assert ("orders", "1", ["subtotal_equals_lines"]) in nights.ask(held)
    nights.run(full_refresh=True)
    assert nights.published() == incremental


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_dry_run_leaves_readers_and_watermark_alone(nights: Nights) -> None:
    nights.shop.execute("update order_items set unit_cost = unit_cost + 1, updated_at = now()")
    before, watermarks = nights.published(), nights.ask("select * from audit.watermarks order by 1")
    nights.run(dry_run=True)
    assert nights.published() == before
    assert nights.ask("select * from audit.watermarks order by 1") == watermarks
    nights.run()
    assert nights.published() != before


@pytest.mark.long
def test_a_source_that_is_absent_leaves_its_tables_out_but_for_an_optional_one(
    every_table: Nights, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sources")
    for file in (
        *settings().sources.glob("*.sql"),
        settings().sources / "dimensions.toml",
        settings().sources / "shop.toml",
    ):
        if not file.stem.startswith(("inventory", "refunds")):
            (folder / file.name).write_text(file.read_text())
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    run = every_table.run()
    taken_out = every_table.shop.execute(
        f"select sum({GROSS}) from order_items join orders using (order_id)"
        " where removed_at is not null and status <> 'cancelled'".encode()
    ).fetchall()
    assert every_table.ask("select sum(returns) from reporting.refunds_daily") == taken_out
    assert every_table.ask("select sum(returns) from reporting.daily_sales") == taken_out
    assert (
        "Left out, because the shop has no inventory, inventory_movements: reporting.inventory_daily,"
        " reporting.inventory_health, reporting.kit_availability, reporting.stockouts, features.demand_labels,"
        " features.inventory_risk, features.product_demand\n"
    ) in summary(run)
    status = dict(every_table.ask("select published_table, verdict from reporting.data_status"))
    assert status.pop("reporting.inventory_daily").startswith("absent: the shop has no source inventory")
    without_stock = [name for name, verdict in status.items() if "inventory_daily is left out" in verdict]
    assert sorted(without_stock) == [
        "features.demand_labels",
        "features.inventory_risk",
        "features.product_demand",
        "reporting.inventory_health",
        "reporting.kit_availability",
        "reporting.stockouts",
    ]
    status = {name: verdict for name, verdict in status.items() if name not in without_stock}
    assert set(status.values()) == {"ok"}


@pytest.mark.after_a_night
def test_the_analyst_reads_what_is_published_and_writes_nothing(nights: Nights) -> None:
    privileges = nights.ask(
        """
        select schemaname, bool_and(has_table_privilege('analyst', schemaname || '.' || tablename, 'select')),
            bool_or(has_table_privilege('analyst', schemaname || '.' || tablename, 'insert, update, delete, truncate'))
        from pg_tables where schemaname in ('reporting', 'features', 'audit') group by 1 order by 1
        """
    )
    assert privileges == [("audit", True, False), ("features", True, False), ("reporting", True, False)]
    assert nights.ask("select has_schema_privilege('analyst', 'staging', 'usage')") == [(False,)]


@pytest.mark.parametrize(
    ("partition_key", "conf", "day"),
    [
        (None, {}, date(2026, 3, 31)),
        ("2026-03-01", {}, date(2026, 3, 1)),
        (None, {"date": "2026-03-02", "dry_run": True}, date(2026, 3, 2)),
        ("2026-03-02", {"date": "2026-03-02"}, date(2026, 3, 2)),
    ],
)
@pytest.mark.usefixtures("nights")
def test_the_business_day(partition_key: str | None, conf: dict[str, object], day: date) -> None:
    assert run_request.asked_for("run", partition_key, conf, NOON, NOON).night == day


@pytest.mark.parametrize(
    ("partition_key", "conf", "message"),
    [
        (None, {"dat": "2026-03-02"}, "unknown parameter dat"),
        ("2026-03-01", {"date": "2026-03-02"}, "give one of them"),
        (None, {"date": "2026-04-01"}, "2026-04-01 is not over in UTC: the last closed day is 2026-03-31"),
    ],
)
@pytest.mark.usefixtures("nights")
def test_a_request_that_makes_no_sense_is_refused(
    partition_key: str | None, conf: dict[str, object], message: str
) -> None:
    with pytest.raises(run_request.WrongRequest, match=message):
        run_request.asked_for("run", partition_key, conf, NOON, NOON)


@pytest.mark.usefixtures("nights")
def test_a_backfill_is_due_before_its_day_is_over_and_starts_long_after() -> None:
    due = datetime(2026, 1, 5, tzinfo=UTC)
    assert run_request.asked_for("run", "2026-01-05", {}, due, NOON).night == date(2026, 1, 5)
    with pytest.raises(run_request.WrongRequest, match="the last closed day is 2026-01-04"):
        run_request.asked_for("run", "2026-01-05", {}, due, due)


@pytest.mark.usefixtures("nights")
def test_a_run_that_is_cleared_later_is_still_for_the_day_it_was_for() -> None:
    assert run_request.asked_for("run", None, {}, NOON, NOON + timedelta(days=7)).night == date(2026, 3, 31)


def test_a_run_that_was_refused_at_once_has_no_report(nights: Nights) -> None:
    nights.begin()
    with pytest.raises(nightly.RunFailed, match="refused before it was entered"):
        nightly.report("never entered")


def test_a_run_that_was_stopped_has_its_page_and_fails(nights: Nights) -> None:
    run = nights.begin()
    with pytest.raises(nightly.RunFailed, match="it was stopped, or marked as ended, before it published"):
        nightly.report(run)
    assert list(Path(settings().reports).rglob("*.html"))


@pytest.mark.usefixtures("nights")
def test_the_last_closed_day_is_the_shops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKTAKE_TIMEZONE", "Pacific/Auckland")  # UTC+13 then: 12:00 UTC is 01:00 of the next day
    settings.cache_clear()
    assert run_request.asked_for("run", None, {}, NOON, NOON).night == date(2026, 4, 1)
