"""What a day is measured by: it follows from the contract, and a day looks the same however late it is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from include.contract import Column, Derived, Source, Type
from include.contract.rules import one_of
from include.contract.table import key
from include.gate.anomalies import Baselines, keys_behind, measure_past, pasts
from include.gate.measures import Days, measure
from include.gate.scales import Kind, Value
from include.lake import duckdb_session as duck

SALES = Source(
    schema="source",
    name="sales",
    grain="One row per sale.",
    columns=(
        Column("sale_id", Type.INTEGER, "The sale."),
        key("customers", "customer_id", "Who bought.", nullable=True),
        key("warehouses", "warehouse_id", "Where."),
        Column("status", Type.TEXT, "As it is now."),
        Column("channel", Type.TEXT, "Where it was placed."),
        Column("currency", Type.TEXT, "Of its amounts."),
        Column("total", Type.CENTS, "What it came to."),
        Column("tax", Type.CENTS, "Tax in it."),
        Column("units", Type.UNITS, "How many."),
        Column("sold_at", Type.AT, "When."),
        Column("shipped_at", Type.AT, "When it left; null before.", nullable=True),
        Column("updated_at", Type.AT, "When the shop last wrote it."),
    ),
    primary_key=("sale_id",),
    rules=(
        one_of("channel", "channel_known", "A channel is one of two.", ["web", "shop"]),
        one_of("status", "status_known", "A status is one of two.", ["new", "sent"]),
    ),
    amount="total_cents",
    currency="currency",
    begins="sold_on",
    later={"shipped_on": ("shipped_at",)},
    unsettled=("status",),
    derived=tuple(
        Derived(Column(f"{one}_on", Type.DAY, f"Day of {one}_at.", nullable=True), f"business_day(row.{one}_at)")
        for one in ("sold", "shipped")
    ),
)
# sale, customer, warehouse, status, channel, currency, total, tax, units, minute of day 1, shipped (days later)
FIRST = [
    (1, 7, 1, "new", "web", "EUR", 1000, 100, 1, 60, None),
    (2, 7, 1, "sent", "web", "EUR", 3000, 300, 2, 120, 0),
    (3, None, 2, "sent", "shop", "EUR", 2000, 100, 3, 600, 1),
    (4, 8, 2, "new", "web", "USD", 500, 0, 1, 1200, None),
    (5, 8, 2, "sent", "web", "USD", 500, 0, 1, 1200, None),
]
ALL_EUR = [(*row[:5], "EUR", *row[6:]) for row in FIRST]


@pytest.fixture
def session(own_lake: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB as a night uses it."""
    assert own_lake
    with duck.session() as connection:
        yield connection


def sold(session: duckdb.DuckDBPyConnection, sales: list[tuple[Any, ...]], day: int = 1) -> str:
    """A relation of sales of a day."""
    session.execute("create or replace table sales as select * from (values (1, 1, 1, '', '', '', 1, 1, 1, 1, 1)) as r")
    session.execute("delete from sales")
    session.executemany(f"insert into sales values ({', '.join('?' * len(FIRST[0]))})", sales)
    session.execute(
        f"""
        create or replace table sales as
        with named as (
            select *, timestamptz '1970-01-01' + to_days({day}) + to_minutes(minute) as sold_at
            from (select * from sales) as one (
                sale_id, customer_id, warehouse_id, status, channel, currency, total_cents, tax_cents, units, minute,
                shipped
            )
        )
        select
            *, sold_at + to_days(shipped) as shipped_at, now() as updated_at, business_day(sold_at) as sold_on,
            business_day(sold_at) + shipped as shipped_on, true as customer_exists, true as warehouse_exists
        from named
        """
    )
    return "sales"


def told(days: Days, day: int = 1) -> dict[str, tuple[float, int]]:
    return {one.name: (value.value, value.rows) for one, value in days[day].items()}


def test_a_day_is_measured_by_what_its_contract_says(session: duckdb.DuckDBPyConnection) -> None:
    assert told(measure(session, SALES, sold(session, ALL_EUR), (1, 1))) == {
        "rows": (5, 5),
        "repeated": (0.2, 5),  # the last two, but for what is written later
        "blank customer_id": (0.2, 5),
        "distinct customer_id": (2, 5),
        "distinct warehouse_id": (2, 5),
        "mean units": (1.6, 5),
        "shipped_on the same day": (0.2, 5),
        "rows by shipped_on": (1, 1),
        "channel web": (0.8, 5),
        "channel shop": (0.2, 5),
        "warehouse_id 1": (0.4, 5),
        "warehouse_id 2": (0.6, 5),
        "currency EUR": (1.0, 5),
        "money EUR": (70.0, 5),
        "money EUR a row": (14.0, 5),
        "tax of money EUR": (500 / 7000, 5),
        "minutes after the last": (240, 4),
        "minutes without any": (600, 4),
    }


def test_money_of_different_currencies_is_not_added_up(session: duckdb.DuckDBPyConnection) -> None:
    found = told(measure(session, SALES, sold(session, FIRST), (1, 1)))
    assert (found["currency EUR"], found["currency USD"]) == ((0.6, 5), (0.4, 5))
    assert not [name for name in found if name.startswith("money")], "of so few rows no mean says anything"


def test_a_later_status_and_shipment_leave_the_day_as_it_was(session: duckdb.DuckDBPyConnection) -> None:
    before = told(measure(session, SALES, sold(session, ALL_EUR), (1, 1)))
    later = [(*row[:3], "sent", *row[4:10], 5 if row[10] is None else row[10]) for row in ALL_EUR]
    assert told(measure(session, SALES, sold(session, later), (1, 1))) == before


def test_a_day_without_rows_has_none(session: duckdb.DuckDBPyConnection) -> None:
    days = measure(session, SALES, sold(session, FIRST), (1, 4))
    assert told(days, 3) == {"rows": (0, 0)}
    assert told(days, 2) == {"rows": (0, 0), "rows by shipped_on": (1, 1)}


def test_the_past_begins_with_the_first_row_and_leaves_out_what_is_known(session: duckdb.DuckDBPyConnection) -> None:
    rows = sold(session, FIRST, day=500)
    assert sorted(measure_past(session, SALES, rows, 504, [])) == [500, 501, 502, 503]
    assert sorted(measure_past(session, SALES, rows, 504, [500, 501, 503])) == [502]
    assert measure_past(session, SALES, rows, 504, [500, 501, 502, 503]) == {}
    assert measure_past(session, SALES, rows, 499, []) == {}


def test_what_a_day_has_none_of_is_judged_too(session: duckdb.DuckDBPyConnection) -> None:
    """On a day all channels but one are silent; what was never measured on it is still compared."""
    many = [(100 + n, n, 1, "new", "web" if n % 2 else "shop", "EUR", 1000, 100, 1, n, None) for n in range(200)]
    [usual] = measure(session, SALES, sold(session, many), (1, 1)).values()
    today = measure(session, SALES, sold(session, [row for row in many if row[4] == "web"]), (1, 1))[1]
    baselines = Baselines(SALES, pasts(dict.fromkeys(range(100), usual)))
    judged = {one.measure.name: one for one in baselines.judge(100, today)}
    silent = judged["channel shop"]
    assert silent.is_finding
    assert silent.value == Value(0, 100)
    assert silent.measure.kind is Kind.SHARE
    assert silent.measure.where == "channel = 'shop'"
    assert judged["channel web"].is_finding
    assert judged["rows"].is_finding
    assert not judged["tax of money EUR"].is_finding


@pytest.mark.parametrize(
    ("explained", "finding", "judged"),
    [((), True, True), ((range(109, 110),), True, True), ((range(109),), False, False)],
)
def test_a_measure_counts_on_explained_days_neither_as_it_was_nor_as_none(
    session: duckdb.DuckDBPyConnection, explained: tuple[range, ...], finding: bool, judged: bool
) -> None:
    """From day 109 on a third of the orders come by phone; if that is lasting, nothing is known of it yet."""
    many = [(n, n, 1, "new", "web" if n % 3 else "phone", "EUR", 1000, 100, 1, n, None) for n in range(300)]
    [since] = measure(session, SALES, sold(session, many), (1, 1)).values()
    [before] = measure(session, SALES, sold(session, [row for row in many if row[4] == "web"]), (1, 1)).values()
    past = pasts({day: before if day < 109 else since for day in range(110)})

    def left_out(name: str) -> tuple[range, ...]:
        return explained if name == "channel phone" else ()

    found = {one.measure.name: one for one in Baselines(SALES, past, left_out).judge(110, since)}
    assert found["channel phone"].is_finding == finding
    assert (found["channel phone"].expected is not None) == judged
    assert found["channel web"].is_finding, "of another measure the days count"


def test_the_rows_behind_a_figure(session: duckdb.DuckDBPyConnection) -> None:
    rows = sold(session, FIRST)
    found = {one.name: one for one in measure(session, SALES, rows, (1, 1))[1]}
    assert keys_behind(session, SALES, rows, found["channel web"], 1) == (4, ["1", "2", "4", "5"])
    assert keys_behind(session, SALES, rows, found["blank customer_id"], 1) == (1, ["3"])
    assert keys_behind(session, SALES, rows, found["repeated"], 1) == (2, ["4", "5"])
    assert keys_behind(session, SALES, rows, found["rows"], 9) == (0, [])
