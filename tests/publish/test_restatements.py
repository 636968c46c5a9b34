"""What a publication changes of earlier days is entered: the old figure, the new one, and the rows that caused it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.ledger import publications
from include.ledger.connection import connect
from include.ledger.migrations import prepare
from include.pipeline import republish
from include.serve.page import render
from include.settings import settings
from tests.conftest import Database
from tests.handmade import Rows, night, sources_in
from transforms.registry import TABLES

FIRST = date(2026, 11, 20)
SECOND = FIRST + timedelta(days=1)
MON, TUE, WED = (FIRST - timedelta(days=days) for days in (4, 3, 2))
SALES, PRODUCTS, STOCK, KITS = (
    TABLES[name].table for name in ("daily_sales", "daily_product_sales", "inventory_daily", "component_demand_daily")
)  # fmt: skip

ORDERS: Rows = [
    {"order_id": 1, "customer_id": 7, "currency": "EUR", "ordered_on": MON},
    {"order_id": 2, "customer_id": 7, "currency": "EUR", "ordered_on": WED},
]
CANCELLED: Rows = [{**ORDERS[0], "cancelled_on": SECOND}, ORDERS[1]]
LINES: Rows = [
    {"order_item_id": 11, "order_id": 1, "product_id": 5, "warehouse_id": 1, "currency": "EUR", "sold_on": MON},
    {"order_item_id": 12, "order_id": 1, "product_id": 6, "warehouse_id": 1, "currency": "EUR", "sold_on": MON},
]
REFUND = {"refund_id": 90, "order_item_id": 12, "refunded_on": TUE, "currency": "EUR"}


@pytest.fixture(autouse=True)
def _place(warehouse_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "STOCKTAKE_SHOP_URL": warehouse_database.url("extractor"),
        "STOCKTAKE_WAREHOUSE_URL": warehouse_database.url("loader"),
        "STOCKTAKE_TIMEZONE": "UTC",
        "STOCKTAKE_LAKE": str(tmp_path / "lake"),
        "STOCKTAKE_SOURCES": str(sources_in(tmp_path)),
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    prepare()
    yield
    settings.cache_clear()


def restated(publication: int) -> list[tuple[Any, ...]]:
    """What was entered: table, day, keys, figure, old, new, and by source the number and keys of what caused it."""
    with connect() as warehouse:
        rows = warehouse.execute(
            "select table_name, day, row_key, metric, old_value, new_value, causes from audit.restatements"
            " where publication_id = %s order by table_name, day, row_key, metric",
            [publication],
        ).fetchall()
    return [
        (table, day, tuple(key.values()), metric, old, new,
         causes and {source: (one["rows"], *one["keys"]) for source, one in causes.items()})
        for table, day, key, metric, old, new, causes in rows
    ]  # fmt: skip


def one_night_of_sales() -> None:
    """Publish one order for each of two products on Monday, an empty Tuesday, another order on Wednesday."""
    night(
        FIRST,
        {"orders": ORDERS, "order_items": LINES, "refunds": []},
        [
            (SALES, [
                {"day": MON, "currency": "EUR", "gross_sales_cents": 100, "new_customers": 1},
                {"day": TUE, "currency": "EUR"},
                {"day": WED, "currency": "EUR"},
            ]),
            (PRODUCTS, [{"day": MON, "product_id": 5, "warehouse_id": 1, "currency": "EUR", "net_sales_cents": 60}]),
        ],
    ).publish()  # fmt: skip


def and_the_next() -> int:
    """Publish that the first order was cancelled, a line of it refunded on Tuesday, and what the new day sold."""
    return night(
        SECOND,
        {"orders": CANCELLED, "order_items": LINES, "refunds": [REFUND]},
        [
            (SALES, [
                {"day": MON, "currency": "EUR", "cancelled_orders": 1},
                {"day": TUE, "currency": "EUR", "returns_cents": 5},
                {"day": WED, "currency": "EUR", "new_customers": 1},
                {"day": SECOND, "currency": "EUR", "orders": 3},
            ]),
            (PRODUCTS, [{"day": TUE, "product_id": 6, "warehouse_id": 1, "currency": "EUR", "returns_cents": 5}]),
        ],
    ).publish()  # fmt: skip


def test_late_refunds_and_cancellations_are_named_for_every_figure_they_change() -> None:
    """An order counts on its days, for its lines' products; a refund on its own; and a new first order has a cause."""
    one_night_of_sales()
    assert restated(1) == []
    assert and_the_next() == 2
    order, refund = {"orders": (1, "1")}, {"refunds": (1, "90")}
    found = restated(2)
    assert [row for row in found if row[0] == "daily_sales"] == [
        ("daily_sales", MON, ("EUR",), "cancelled_orders", 0, 1, order),
        ("daily_sales", MON, ("EUR",), "gross_sales", 1.0, 0.0, order),
        ("daily_sales", MON, ("EUR",), "new_customers", 1, 0, order),
        ("daily_sales", TUE, ("EUR",), "returns", 0.0, 0.05, refund),
        ("daily_sales", WED, ("EUR",), "new_customers", 0, 1, order),  # the customer's other order, cancelled
    ]
    figures = [column.name for column in PRODUCTS.columns if column.name not in PRODUCTS.primary_key]
    full = sorted(name for name in figures if not PRODUCTS[name].nullable)
    gone = [row for row in found if row[:2] == ("daily_product_sales", MON)]
    assert [(row[3], row[5], row[6]) for row in gone] == [(name, None, order) for name in full]
    come = [row for row in found if row[:2] == ("daily_product_sales", TUE)]
    assert [(row[3], row[4], row[6]) for row in come] == [(name, None, refund) for name in full]
    assert len(found) == 5 + len(gone) + len(come)

    page = render(f"night of {SECOND}")
    assert f"{len(found)} figures of days that had been published before" in page
    assert "refunds" in page[page.index('id="restated"') : page.index('id="rules"')]


def test_a_late_order_of_a_kit_is_the_cause_for_what_its_components_lost() -> None:
    """Of the component's own late order, on the same day, it is not."""
    line = {"warehouse_id": 1, "currency": "EUR", "sold_on": MON}
    lines = [
        {"order_item_id": 11, "order_id": 1, "product_id": 5, "quantity": 1, **line},
        {"order_item_id": 12, "order_id": 2, "product_id": 6, "quantity": 1, **line},
        {"order_item_id": 13, "order_id": 3, "product_id": 8, "quantity": 1, **line},
    ]
    demand = {"day": MON, "product_id": 6, "warehouse_id": 1}
    first = [{**demand, "kit_id": 7, "kits": 1, "units": 1}, {**demand, "kit_id": 5, "kits": 1, "units": 2}]
    night(FIRST, {"order_items": []}, [(KITS, [first[0]])]).publish()
    night(SECOND, {"order_items": lines}, [(KITS, first)]).publish()
    assert restated(2) == [
        ("component_demand_daily", MON, (5, 6, 1), metric, None, new, {"order_items": (1, "11")})
        for metric, new in (("kits", 1), ("units", 2))
    ]


def test_putting_a_night_back_restates_the_same_figures_the_other_way() -> None:
    one_night_of_sales()
    and_the_next()
    republish.begin("put-back", {"night": FIRST.isoformat()})
    republish.publish("put-back", [SALES, PRODUCTS])
    assert sorted(restated(3), key=str) == sorted(
        ((*row[:4], row[5], row[4], row[6]) for row in restated(2)), key=str
    )  # fmt: skip
    live = publications.live_copy()
    assert live
    assert live.horizon == FIRST
    assert "Put back" in render("put-back")


def stock(cost: int, value: int) -> tuple[dict[str, Rows], list[tuple[Any, Rows]]]:
    """A product's cost, and what its shelf is worth."""
    shelf = {"product_id": 5, "warehouse_id": 1}
    return (
        {"products": [{"product_id": 5, "unit_cost_cents": cost}], "inventory": [shelf]},
        [(STOCK, [{**shelf, "day": MON, "closing_value_cents": value}])],
    )


def test_what_has_no_day_of_its_own_is_a_cause_for_the_figures_of_its_product() -> None:
    night(FIRST, *stock(10, 100)).publish()
    night(SECOND, *stock(12, 120)).publish()
    assert restated(2) == [("inventory_daily", MON, (5, 1), "closing_value", 1.0, 1.2, {"products": (1, "5")})]


def test_without_a_changed_row_it_was_the_definition_and_without_the_lake_nobody_knows() -> None:
    night(FIRST, *stock(10, 100)).publish()
    night(SECOND, *stock(10, 120)).publish()
    assert [row[-1] for row in restated(2)] == [{}]
    # Without what the commits said, the two versions are compared; without one of them, nothing can be.
    third = night(SECOND + timedelta(days=1), *stock(11, 130))
    shutil.rmtree(Path(settings().lake) / "changes" / "clean")
    third.publish()
    assert [row[-1] for row in restated(3)] == [{"products": (1, "5")}]
    last = night(SECOND + timedelta(days=2), *stock(12, 140))
    shutil.rmtree(Path(settings().lake) / "changes" / "clean")
    with connect() as warehouse:
        warehouse.execute("update audit.publication_sources set clean_version = 99 where publication_id = 3")
    last.publish()
    assert [row[-1] for row in restated(4)] == [None]
