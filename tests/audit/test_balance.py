"""Weighing: two sides are equal in every group, or the first groups that differ are named with both values."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pytest

from include.audit.balance import Balance, Side, compare_sides

BALANCE = Balance(
    name="days_equal_orders",
    meaning="Orders add up to their day.",
    key=("day", "currency"),
    one=Side("orders", "reporting.orders", {"orders": "count(*)", "sales_cents": "sum(sales_cents)"}),
    other=Side("days", "reporting.days", {"orders": "sum(orders)", "sales_cents": "sum(sales_cents)"}),
)
ORDERS = [(20543, "EUR", 500), (20543, "EUR", 250), (20543, "USD", 10), (20544, "EUR", 70)]
DAYS = [(20543, "EUR", 2, 750), (20543, "USD", 1, 10), (20544, "EUR", 1, 70), (20544, "USD", 0, 0)]


SAYS = {
    "a_cent_between_currencies": (
        "2 of 4 groups differ (in total both sides are equal), such as day 2026-03-31, currency EUR: sales_cents 750 in"
        " orders, 749 in days; day 2026-03-31, currency USD: sales_cents 10 in orders, 11 in days"
    ),
    "nothing_is_not_0": (
        "1 of 4 groups differ (sales_cents 830 in orders, 760 in days), such as day 2026-04-01, currency EUR:"
        " sales_cents 70 in orders, nothing in days"
    ),
    "a_day_without_orders": (
        "1 of 4 groups differ (orders 4 in orders, 5 in days), such as day 2026-04-01, currency USD: orders 0 in"
        " orders, 1 in days"
    ),
    "beyond_64_bits": (
        "1 of 5 groups differ (orders 4 in orders, 5 in days; sales_cents 830 in orders, 9,223,372,036,854,776,637 in"
        " days), such as day 2026-04-02, currency EUR: orders 0 in orders, 1 in days, sales_cents 0 in orders,"
        " 9,223,372,036,854,775,807 in days"
    ),
}
WRONG: dict[str, list[tuple[int, str, int, int | None]]] = {
    "a_cent_between_currencies": [(20543, "EUR", 2, 749), (20543, "USD", 1, 11)],
    "nothing_is_not_0": [(20544, "EUR", 1, None)],
    "a_day_without_orders": [(20544, "USD", 1, 0)],
    "beyond_64_bits": [(20545, "EUR", 1, 9_223_372_036_854_775_807)],
}


@pytest.mark.parametrize("defect", WRONG)
def test_what_differs_is_named_with_both_sides(defect: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("create schema reporting")
        connection.execute("create table reporting.orders (day bigint, currency text, sales_cents bigint)")
        connection.execute("create table reporting.days (day bigint, currency text, orders bigint, sales_cents bigint)")
        connection.executemany("insert into reporting.orders values (?, ?, ?)", ORDERS)
        connection.executemany("insert into reporting.days values (?, ?, ?, ?)", DAYS)
        equal = compare_sides(connection, BALANCE)
        assert (equal.held, equal.groups, equal.totals) == (True, 4, {"orders": (4, 4), "sales_cents": (830, 830)})
        for row in WRONG[defect]:
            connection.execute("delete from reporting.days where day = ? and currency = ?", row[:2])
            connection.execute("insert into reporting.days values (?, ?, ?, ?)", row)
        proof = compare_sides(connection, BALANCE)
    assert not proof.held
    assert proof.failure == f"days_equal_orders: {SAYS[defect]}"


def test_a_balance_knows_what_it_reads_and_measures_the_same_on_both_sides() -> None:
    assert BALANCE.needs == {"reporting.orders", "reporting.days"}
    with pytest.raises(ValueError, match="days_equal_orders: the sides have different measures"):
        replace(BALANCE, other=replace(BALANCE.other, measures={"orders": "sum(orders)"}))
