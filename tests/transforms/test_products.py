"""reporting.products."""

from __future__ import annotations

from typing import Any

from tests.transforms.conftest import Report, Shop


def test_adds_up_what_each_product_sold(report: Report, shop: Shop) -> None:
    """10 came back three times, twice from one line; 99 is no longer listed, at unknown cost; 12 sold in two currencies."""
    report(shop).check(
        "products",
        """
        product_id sku    currency first_sold_on last_sold_on days_since_last_sale units_28d units_365d lifetime_units other_currency_units refunded_units net_sales_28d_cents lifetime_net_sales_cents lifetime_gross_margin_cents return_rate margin_rate
        10         tea    EUR      2026-01-02    2026-01-06   4                    5         5          5              0                    3              2033                2033                     1433                        3/5         1433/2033
        11         coffee EUR      2026-01-02    2026-01-02   8                    1         1          1              0                    0              967                 967                      517                         0           517/967
        12         cup    USD      2026-01-02    2026-01-06   4                    9         9          9              2                    0              700                 700                      0                           0           0
        99         -      EUR      2026-01-06    2026-01-06   4                    1         1          1              0                    0              300                 300                      -                           0           -
        """,
    )


def test_windows_end_with_the_last_day(report: Report, shop: Shop) -> None:
    """The 6th is the first of the 28 days to February 2, the 2nd lies before; the refunds stay in 365."""
    rows = {row["product_id"]: row for row in report(shop, as_of="2026-02-02").rows("products")}
    assert (rows[10]["units_28d"], rows[10]["units_365d"], rows[10]["net_sales_28d_cents"]) == (1, 3, 100)
    (later, *_) = report(shop, as_of="2026-02-03").rows("products")
    assert (later["units_28d"], later["net_sales_28d_cents"]) == (0, 0)
    assert (rows[11]["units_28d"], rows[11]["net_sales_28d_cents"], rows[11]["days_since_last_sale"]) == (0, -1000, 31)


def test_a_refund_alone_is_no_sale_in_its_window(report: Report, shop: dict[str, Any]) -> None:
    shop["refunds"] = """
        refund_id order_item_id quantity amount_cents refunded_at
        1         101           1        1000         2026-01-09
    """
    rows = report(shop, as_of="2026-02-05").rows("products")
    (tea,) = [row for row in rows if row["product_id"] == 10]
    assert (tea["last_sold_on"] - tea["first_sold_on"], tea["net_sales_28d_cents"]) == (4, -1000)


def test_has_the_group_and_the_listed_price_apart_from_what_it_was_sold_for(report: Report, shop: Shop) -> None:
    """A price in yen, with tax, of what is sold in euros without: it is in no sum."""
    products = """
        product_id sku product_group_id product_group_name unit_price_cents price_currency price_includes_tax
        10         tea leaves           Leaves             90000            JPY            yes
        11         pot -                -                  -                -              -
    """
    before = {row["product_id"]: row for row in report(shop).rows("products")}
    tables = report({**shop, "products": products})
    tables.check("products", products + "12 - - - - - -\n99 - - - - - -")
    (tea,) = [row for row in tables.rows("products") if row["product_id"] == 10]
    assert {name: value for name, value in tea.items() if "sales" in name or "margin" in name} == {
        name: value for name, value in before[10].items() if "sales" in name or "margin" in name
    }


def test_a_shop_without_orders_has_products(report: Report, shop: dict[str, Any]) -> None:
    report({"products": shop["products"]}).check(
        "products",
        """
        product_id currency first_sold_on units_28d lifetime_net_sales_cents return_rate
        10         -        -             0         0                        -
        11         -        -             0         0                        -
        12         -        -             0         0                        -
        """,
    )
    assert report({}).rows("products") == []
