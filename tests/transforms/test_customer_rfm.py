"""reporting.customer_rfm."""

from __future__ import annotations

from collections import Counter
from itertools import product

from tests.transforms.conftest import Report, Shop
from transforms.reporting.customer_rfm import SEGMENTS


def _orders(drawn: str) -> Shop:
    """A shop of ``order_id customer_id currency cents ordered_at``, each order one line of one unit."""
    lines = [line.split() for line in drawn.strip().splitlines()]
    orders = [f"{order} {who} pending {currency} {cents} 0 0 {cents} {on}" for order, who, currency, cents, on in lines]
    items = [f"{order} {order} 10 1 1 {cents} {on}" for order, _, _, cents, on in lines]
    return {
        "orders": "order_id customer_id status currency subtotal_cents discount_cents tax_cents total_cents ordered_at\n"
        + "\n".join(orders),
        "order_items": "order_item_id order_id product_id warehouse_id quantity unit_price_cents sold_on\n"
        + "\n".join(items),
    }


def test_scores_are_fifths_and_ties_go_by_customer(report: Report) -> None:
    """1 and 2 ordered on the same day, everyone but 5 and 3 once, and 6 alone paid in dollars."""
    shop = _orders(
        """
        1 1 EUR 500 2026-01-02
        2 2 EUR 500 2026-01-02
        3 3 EUR 100 2026-01-03
        4 3 EUR 100 2026-01-04
        5 4 EUR 900 2026-01-05
        6 5 EUR 100 2026-01-06
        7 5 EUR 100 2026-01-06
        8 5 EUR 100 2026-01-08
        9 6 USD 950 2026-01-02
        """
    )
    report(shop).check(
        "customer_rfm",
        """
        night      customer_id currency recency_days frequency monetary_cents recency_score frequency_score monetary_score segment
        2026-01-10 1           EUR      8            1         500            1             1               3              hibernating
        2026-01-10 2           EUR      8            1         500            1             1               4              hibernating
        2026-01-10 3           EUR      6            2         200            3             4               1              loyal
        2026-01-10 4           EUR      5            1         900            4             2               5              potential_loyal
        2026-01-10 5           EUR      2            3         300            5             5               2              champions
        2026-01-10 6           USD      8            1         950            2             3               1              at_risk
        """,
    )


def test_fifths_have_equal_sizes(report: Report) -> None:
    shop = _orders("\n".join(f"{number} {number} EUR 100 2026-01-02" for number in range(1, 11)))
    rows = report(shop).rows("customer_rfm")
    for score in ("recency_score", "frequency_score", "monetary_score"):
        assert Counter(row[score] for row in rows) == {1: 2, 2: 2, 3: 2, 4: 2, 5: 2}


def test_every_cell_has_one_name() -> None:
    cells = Counter(cell for recency, frequency in SEGMENTS.values() for cell in product(recency, frequency))
    assert cells == Counter(product(range(1, 6), repeat=2))


def test_who_only_cancelled_is_left_out(report: Report, shop: Shop) -> None:
    """On the 5th customer 2's only order is cancelled, and 9 has none."""
    assert [row["customer_id"] for row in report(shop, as_of="2026-01-05").rows("customer_rfm")] == [1, 3]


def test_a_shop_without_orders(report: Report) -> None:
    assert report({}).rows("customer_rfm") == []


def test_a_score_is_what_its_column_says(report: Report) -> None:
    """Recomputed from the columns' comments: 23 customers, so that no part is whole, with many ties."""
    orders = [(who, 1 + who % 3, 100 * (who % 4), 2 + who % 5) for who in range(1, 24)]
    drawn = [
        f"{who * 10 + number} {who} {'USD' if who % 6 == 0 else 'EUR'} {cents} 2026-01-0{day}"
        for who, count, cents, day in orders
        for number in range(count)
    ]
    rows = report(_orders("\n".join(drawn))).rows("customer_rfm")
    assert len(rows) == 23
    for name, measure, sign in (
        ("recency_score", "recency_days", -1),
        ("frequency_score", "frequency", 1),
        ("monetary_score", "monetary_cents", 1),
    ):
        for row in rows:
            peers = [one for one in rows if name != "monetary_score" or one["currency"] == row["currency"]]
            ranked = sorted((sign * one[measure], one["customer_id"]) for one in peers)
            place = ranked.index((sign * row[measure], row["customer_id"])) + 1
            assert row[name] == 5 * (place - 1) // len(peers) + 1, (name, row)
