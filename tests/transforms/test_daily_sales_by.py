"""reporting.daily_sales_by: the channel, and what a shop's folder declares beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, cast

import pytest

from include.contract import ContractError, Table
from include.sources import SOURCES
from tests.transforms.conftest import Report, Shop, day
from transforms.build import build
from transforms.engines import Frame
from transforms.registry import TABLES, Published

# 1: two lines, one refunded; goodwill on another day. 2: cancelled, with a refund. 3: of no channel and a guest. 4: a
# line taken out, one added later. A refund of no known order.
SALES = {
    "orders": """
        order_id customer_id status    currency channel store_id customers_region subtotal_cents discount_cents shipping_cents tax_cents total_cents rounding_cents ordered_at cancelled_at
        1        1           shipped   EUR      web     -        north            3000           100            500            340       3743        3              2026-01-02 -
        2        2           cancelled EUR      store   A        south            1000           0              0              100       1107        7              2026-01-02 2026-01-04
        3        -           shipped   EUR      -       A        -                700            0              0              70        770         0              2026-01-02 -
        4        1           shipped   EUR      store   B        north            500            0              0              50        549         -1             2026-01-03 -
    """,
    "order_items": """
        order_item_id order_id product_id warehouse_id quantity unit_price_cents sold_on    removed_on products_brand
        1             1        1          1            2        1000             2026-01-02 -          acme
        2             1        2          1            1        1000             2026-01-02 -          -
        3             2        1          1            1        1000             2026-01-02 -          acme
        4             3        1          1            7        100              2026-01-02 -          ''
        5             4        2          1            3        200              2026-01-03 2026-01-05 best
        6             4        2          1            1        500              2026-01-04 -          best
    """,
    "refunds": """
        refund_id order_item_id quantity amount_cents tax_cents restocked refunded_at returned_at
        1         1             1        900          90        yes       2026-01-04  2026-01-05
        2         3             1        1000         100       yes       2026-01-05  -
    """,
    "order_refunds": """
        order_refund_id order_id currency amount_cents shipping_cents tax_cents refunded_at
        1               1        EUR      50           100            5         2026-01-04
        2               2        EUR      10           0              0         2026-01-04
        3               -        EUR      20           0              0         2026-01-04
    """,
}
DIMENSIONS = """
[day]
source = "orders"
column = "store_id"
meaning = "The store that sold it, called as a column that builds make."

[region]
source = "customers"
meaning = "Where the customer lives."

[brand]
source = "products"
meaning = "Who makes it."
"""


def having(*columns: str) -> dict[str, str]:
    """The shop whose folder declares only some of the columns."""
    away = {"store_id", "customers_region", "products_brand"} - {*columns}

    def cut(drawn: str) -> str:
        header, *lines = [line.split() for line in drawn.strip().splitlines()]
        return "\n".join(
            " ".join(w for n, w in zip(header, line, strict=True) if n not in away) for line in [header, *lines]
        )

    return {name: cut(drawn) for name, drawn in SALES.items()}


ADDED_UP = [
    *("orders", "cancelled_orders", "new_customers", "guest_orders", "units", "refunded_units", "returned_units"),
    *("gross_sales_cents", "discounts_cents", "returns_cents", "net_sales_cents", "shipping_cents"),
    *("shipping_refunds_cents", "tax_cents", "tax_refunds_cents", "other_refunds_cents", "total_sales_cents"),
    "rounding_cents",
]


def test_every_channel_has_its_days(report: Report) -> None:
    """Nothing is without a channel but order 3, and what is of no known order."""
    report(having()).check(
        "daily_sales_by",
        """
        day        currency dimension value orders cancelled_orders new_customers guest_orders units gross_sales_cents discounts_cents returns_cents net_sales_cents average_order_value
        2026-01-02 EUR      channel   ''    1      0                0             1            7     700               0               0             700             700/100
        2026-01-02 EUR      channel   store 0      1                0             0            0     0                 0               0             0               -
        2026-01-02 EUR      channel   web   1      0                1             0            3     3000              100             0             2900            2900/100
        2026-01-03 EUR      channel   store 1      0                0             0            3     600               0               0             600             500/100
        2026-01-04 EUR      channel   ''    0      0                0             0            0     0                 0               0             0               -
        2026-01-04 EUR      channel   store 0      0                0             0            1     500               0               0             500             -
        2026-01-04 EUR      channel   web   0      0                0             0            0     0                 0               900           -900            -
        2026-01-05 EUR      channel   store 0      0                0             0            0     0                 0               600           -600            -
        2026-01-05 EUR      channel   web   0      0                0             0            0     0                 0               0             0               -
        """,
    )


def test_shipping_tax_and_what_was_given_back_are_of_their_orders_value(report: Report) -> None:
    """What is of the whole order has no value of a dimension that its lines have; an empty text is no value."""
    tables = report(SALES, dimensions=DIMENSIONS)
    names = ("shipping_cents", "tax_cents", "shipping_refunds_cents", "tax_refunds_cents", "other_refunds_cents")
    found = {
        (row["day"] - 20454, row["dimension"], row["value"]): tuple(row[name] for name in names)
        for row in tables.rows("daily_sales_by")
        if row["dimension"] in ("region", "brand") and row["day"] in (20455, 20457)
    }
    assert found == {
        (1, "region", ""): (0, 70, 0, 0, 0),
        (1, "region", "north"): (500, 340, 0, 0, 0),
        (1, "region", "south"): (0, 0, 0, 0, 0),
        (1, "brand", ""): (500, 410, 0, 0, 0),
        (1, "brand", "acme"): (0, 0, 0, 0, 0),
        (3, "region", ""): (0, 0, 0, 0, 20),
        (3, "region", "north"): (0, 0, 100, 95, 50),
        (3, "brand", ""): (0, 0, 100, 5, 70),
        (3, "brand", "acme"): (0, 0, 0, 90, 0),
        (3, "brand", "best"): (0, 0, 0, 0, 0),
    }


def test_orders_and_lines_have_a_column_for_every_dimension(report: Report) -> None:
    """An order has none of a dimension of its lines; a dimension may be called as a column that a build makes."""
    tables = report(SALES, dimensions=DIMENSIONS)
    tables.check(
        "orders",
        """
        order_id channel day region
        1        web     -   north
        2        store   A   south
        3        -       A   -
        4        store   B   north
        """,
    )
    tables.check(
        "order_lines",
        """
        order_item_id channel day region brand
        1             web     -   north  acme
        2             web     -   north  -
        3             store   A   south  acme
        4             -       A   -      ''
        5             store   B   north  best
        6             store   B   north  best
        """,
    )
    assert "brand" not in tables.rows("orders")[0]


def test_the_values_of_every_dimension_add_up_to_the_day(report: Report, shop: Shop) -> None:
    for drawn, declared in ((SALES, DIMENSIONS), (shop, "")):
        tables = report(drawn, dimensions=declared)
        sums: dict[Any, dict[str, int]] = defaultdict(lambda: dict.fromkeys(ADDED_UP, 0))
        for row in tables.rows("daily_sales_by"):
            for name in ADDED_UP:
                sums[row["dimension"], row["day"], row["currency"]][name] += row[name]
        names = {dimension for dimension, _, _ in sums}
        assert names == ({"channel", "day", "region", "brand"} if declared else {"channel"})
        days = {(row["day"], row["currency"]): row for row in tables.rows("daily_sales")}
        assert {key[1:] for key in sums} <= set(days)
        for key, row in days.items():
            for dimension in names:
                assert sums[dimension, *key] == {name: row[name] for name in ADDED_UP}, (dimension, key)


@pytest.mark.parametrize("name", ["orders", "reporting_orders"])
def test_a_build_that_asks_for_no_dimension_does_not_see_any(
    report: Report, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a shop adds may be called as a column that any build makes: it gets the columns that every shop has."""
    columns = SOURCES["orders"].lake_columns if name == "orders" else TABLES["orders"].table.columns
    copies = Table("reporting", "copies", "One row per order.", columns, ("order_id",))
    builds: dict[str, Callable[..., Frame]] = {
        "orders": lambda orders: orders,
        "reporting_orders": lambda reporting_orders: reporting_orders,
    }
    monkeypatch.setitem(cast("dict[str, Published]", TABLES), "copies", Published(copies, builds[name]))
    tables = report(SALES, dimensions=DIMENSIONS)
    assert len(tables.rows("copies")) == 4
    alone = build(
        "copies",
        tables.files("orders") | tables.files("order_lines"),
        tables.sources,
        as_of=day("2026-01-10"),
        first_day=lambda: day("2026-01-01"),
        engine=tables.engine,
        into=tables.folder / "alone",
    )
    assert alone.rows == 4


@pytest.mark.parametrize("name", ["status", "net_sales"])
def test_a_dimension_is_not_called_as_a_column_that_every_shop_has(report: Report, name: str) -> None:
    declared = f'[{name}]\nsource = "orders"\ncolumn = "store_id"\nmeaning = "The store."\n'
    with pytest.raises(ContractError, match=rf"dimensions.toml: \[{name}\]: reporting.*has a column of that name"):
        report(having("store_id"), dimensions=declared).rows("order_lines" if name == "net_sales" else "orders")


def test_a_shop_without_rows_has_none(report: Report) -> None:
    assert report({}, dimensions=DIMENSIONS).rows("daily_sales_by") == []
    assert TABLES["daily_sales_by"].sources == {"orders", "order_items", "refunds", "order_refunds", "shipment_items"}
