"""A Medusa database that Medusa's own code wrote, at three moments: what is published equals what Medusa says.

The project carries no such database: ``STOCKTAKE_TEST_MEDUSA`` names the folder that has it (``tests/README.md``).
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from include.lake import tables as lake
from include.local.embedded_postgres import Cluster, libpq_environment
from include.sources import shop_sources
from tests.conftest import Database, Done, nights_between, set_clock
from tests.contract.medusa import FOLDER
from tests.nights import Nights
from tests.pipeline.medusa_says import Medusa
from tests.pipeline.medusa_sums import Sums, of_days

VARIABLE: Final = "STOCKTAKE_TEST_MEDUSA"
# The database, what Medusa's API answered of its orders, and the business day whose night reads it. It was not asked
# again after the second moment: two orders were placed since, and nothing happened to the others.
MOMENTS: Final = {
    "the first night": ("medusa.sql.gz", "medusa_api_totals.json", date(2026, 11, 27)),
    "a day later": ("medusa_day2.sql.gz", "medusa_day2_api_totals.json", date(2026, 11, 28)),
    "and later": ("medusa_day3.sql.gz", "medusa_day2_api_totals.json", date(2026, 11, 29)),
}
NAMES: Final = ("order_lines", "orders", "daily_sales", "payments_daily", "inventory_daily", "products")
# What came back and nobody paid back: a return to be refunded yet, and one side of an exchange.
NOT_PAID_BACK: Final = {39, 45}

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        VARIABLE not in os.environ, reason=f"{VARIABLE} does not name a folder with a Medusa database (tests/README.md)"
    ),
]

Row = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """What a night published of a moment, and what Medusa says of it.

    Attributes:
        aside: how many rows of each source are in quarantine, where there are any.
    """

    says: Medusa
    orders: dict[str, Row]
    lines: dict[str, Row]
    days: dict[tuple[date, str], Row]
    payments: dict[tuple[date, str], Row]
    shelves: dict[tuple[str, str], tuple[int, int]]
    aside: dict[str, int]


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> Iterator[Database]:
    """The shop's database; ``_restore`` puts a moment into it."""
    database = Database(cluster, "shop").copy()
    yield database
    database.drop()


@pytest.fixture(scope="module")
def published(
    cluster: Cluster, shop: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, Published]]]:
    """By way (nights one after the other, and each moment afresh) and moment."""
    found: dict[str, dict[str, Published]] = {"incremental": {}, "afresh": {}}
    with ExitStack() as held:
        environment = held.enter_context(pytest.MonkeyPatch.context())
        environment.setenv("STOCKTAKE_SOURCES", str(_folder(tmp_path_factory.mktemp("sources"))))

        def night(moment: str, warehouse: Database, place: Path) -> Published:
            _, answers, day = MOMENTS[moment]
            set_clock(environment, day)
            with nights_between(environment, Done(shop, warehouse, place / "lake")) as nights:
                replace(nights, names=NAMES).report(day)
                return _read(nights, Medusa(nights.shop, Path(os.environ[VARIABLE]) / answers), day)

        def new_place() -> tuple[Database, Path]:
            warehouse = Database(cluster, "warehouse").copy()
            held.callback(warehouse.drop)
            return warehouse, tmp_path_factory.mktemp("night")

        kept = new_place()
        for moment in MOMENTS:
            _restore(shop, Path(os.environ[VARIABLE]) / MOMENTS[moment][0])
            found["incremental"][moment] = night(moment, *kept)
            found["afresh"][moment] = night(moment, *new_place())
        yield found


@pytest.fixture(params=["incremental", "afresh"])
def way(request: pytest.FixtureRequest) -> str:
    """Night after night into one warehouse, or one night into an empty one."""
    return str(request.param)


@pytest.fixture(params=MOMENTS)
def told(published: dict[str, dict[str, Published]], way: str, request: pytest.FixtureRequest) -> Published:
    """What was published of a moment in a way."""
    return published[way][request.param]


def _restore(shop: Database, dump: Path) -> None:
    """Put a dump into a database in place of all that is there, as the shopkeeper's; its name stays: it is one shop."""
    shop.drop()
    fresh = Database(shop.cluster, "shop").copy()
    with Database(shop.cluster, "postgres").connect() as server:
        renamed = sql.SQL("alter database {} rename to {}")
        server.execute(renamed.format(sql.Identifier(fresh.name), sql.Identifier(shop.name)))
    subprocess.run(
        [shop.cluster.psql, "--quiet", "--no-psqlrc", "--output=/dev/null", "--set=ON_ERROR_STOP=1"],
        input=gzip.decompress(dump.read_bytes()), env=os.environ | libpq_environment(shop.url("shopkeeper")),
        check=True,
    )  # fmt: skip


def _folder(place: Path) -> Path:
    """The folder that comes along, for a shop that sells in dinars too."""
    folder = Path(shutil.copytree(FOLDER, place / "medusa"))
    said = folder / "shop.toml"
    said.write_text(said.read_text().replace("[money]\n", "[money]\ndecimals = 3\n"))
    return folder


def _read(nights: Nights, says: Medusa, day: date) -> Published:
    def rows(statement: str, *keys: str) -> dict[Any, Row]:
        found = nights.warehouse.cursor(row_factory=dict_row).execute(statement.encode()).fetchall()
        return {tuple(row[key] for key in keys) if len(keys) > 1 else row[keys[0]]: row for row in found}

    shelves = nights.ask(
        "select sku, warehouse_id, closing_units, reserved from reporting.inventory_daily"
        " join reporting.products using (product_id) where day = %s",
        day,
    )
    files = {name: lake.version("quarantine", name) and lake.files("quarantine", name) for name in shop_sources(FOLDER)}
    aside = {name: len(duckdb.read_parquet([*map(str, some)])) for name, some in files.items() if some}
    return Published(
        says,
        rows("select * from reporting.orders", "order_id"),
        rows("select * from reporting.order_lines", "order_item_id"),
        rows("select * from reporting.daily_sales", "day", "currency"),
        rows(
            "select day, currency, sum(captured) as capture, sum(refunded) as refund from reporting.payments_daily"
            " where method <> 'gift_card' group by day, currency",
            *("day", "currency"),
        ),
        {(sku, place): (on_hand, reserved) for sku, place, on_hand, reserved in shelves},
        {name: number for name, number in aside.items() if number},
    )


def test_the_formulas_are_medusas(told: Published) -> None:
    """What the other tests add to what its API answers is worked out as its code does it."""
    for key, order in told.says.said.items():
        computed = told.says.computed[key]
        assert (computed.number, computed.currency, computed.ordered_on, computed.is_cancelled) == (
            order.number, order.currency, order.ordered_on, order.is_cancelled,
        )  # fmt: skip
        assert computed.lines.keys() == order.lines.keys()
        pairs = [(getattr(order, name), getattr(computed, name)) for name in ("shipping", "tax", "total", "credit")]
        for line, worth in order.lines.items():
            pairs += [(getattr(worth, name), getattr(computed.lines[line], name)) for name in vars(worth)]
        assert all(abs(one - other) < Decimal("1e-9") for one, other in pairs), order.number


def test_every_order_is_there_and_nothing_is_kept_aside(told: Published) -> None:
    assert told.aside == {}
    assert told.orders.keys() == told.says.orders.keys()
    assert told.lines.keys() == {line for lines in told.says.of_order.values() for line in lines}
    assert {key for key, row in told.lines.items() if row["removed_on"]} == {
        key for key, line in told.says.lines.items() if line.removed_on
    }


def test_what_an_order_comes_to(told: Published) -> None:
    """Net, discount, shipping, tax and total of every order.

    Medusa's amounts are after what came back: net and tax are ours less ``returns`` and ``tax_refunds``; its ``total``
    with its ``credit_line_total`` is our ``total`` less both. Of a void order net is 0 here, so its goods are compared.
    The discount is what was taken off all units that were sold.
    """
    expected, ours = Sums(), {}
    for key, order in told.says.orders.items():
        row, back = told.orders[key], told.says.came_back(key)
        discounts = sum(told.says.lines[line].discount > 0 for line in order.lines)
        returned = row["returns"] + row["tax_refunds"]
        expected.add(key, "net", order.goods.net, len(order.lines) + discounts + (back.gross > 0))
        ours[key, "net"] = row["gross_sales"] - row["discount"] if order.is_cancelled else row["net_sales"]
        expected.add(key, "discount", order.goods.discount + back.discount, discounts)
        ours[key, "discount"] = row["discount"]
        expected.add(key, "shipping", order.shipping, 2)
        ours[key, "shipping"] = row["shipping"]
        expected.add(key, "tax", order.tax, 1 + (back.gross > 0))
        ours[key, "tax"] = row["tax"] - row["tax_refunds"]
        expected.add(key, "total", order.total + order.credit, 1 + 2 * (back.gross > 0))
        ours[key, "total"] = row["total"] - returned
    assert expected.missed(ours, lambda key: told.orders[key]["currency"]) == {}


def test_what_was_given_back_of_an_order(told: Published) -> None:
    """Refunds, with tax: what Medusa's ledger of an order says was paid back, but for what was not paid back yet.

    A void order has none here; what was paid back of it is in payments. What Medusa credits is gift cards and these.
    """
    expected, ours = Sums(), {}
    unpaid = set()
    for key, order in told.says.orders.items():
        row, back, paid = told.orders[key], told.says.came_back(key), told.says.paid_back(key)
        if order.is_cancelled:
            assert row["returns"] == row["other_refunds"] == row["tax_refunds"] == 0
            continue
        if back.gross and not paid:
            unpaid.add(order.number)
            paid = back.net + back.tax
        expected.add(key, "refunds", paid, 2 if back.gross else 1)
        ours[key, "refunds"] = row["returns"] + row["tax_refunds"] + row["other_refunds"] + row["shipping_refunds"]
        if not back.gross and paid:
            expected.add(key, "credit", order.credit)
            ours[key, "credit"] = row["other_refunds"]
    assert unpaid == NOT_PAID_BACK
    assert expected.missed(ours, lambda key: told.orders[key]["currency"]) == {}


def test_what_a_day_comes_to(told: Published) -> None:
    """Every figure of every day of sales, and 0 on every other day."""
    expected = of_days(told.says, NOT_PAID_BACK)
    figures = ("gross_sales", "discounts", "net_sales", "shipping", "tax", "total_sales")
    ours = {(key, figure): row[figure] for key, row in told.days.items() for figure in figures}
    for key, row in told.days.items():
        given_back = row["returns"] + row["tax_refunds"] + row["other_refunds"] + row["shipping_refunds"]
        removed = [line for line in told.lines.values() if (line["removed_on"], line["currency"]) == key]
        ours[key, "refunds"] = given_back - sum(line["gross_sales"] - line["discount_allocated"] for line in removed)
    assert expected.missed(ours, lambda key: key[1]) == {}


def test_what_was_paid_on_a_day(told: Published) -> None:
    """Captures and refunds as Medusa's ledger has them; of orders that were cancelled, too."""
    expected = Sums()
    for one in told.says.moved:
        expected.add((one.day, one.currency), one.kind, one.amount)
    ours = {(key, kind): row[kind] for key, row in told.payments.items() for kind in ("capture", "refund")}
    assert expected.missed(ours, lambda key: key[1]) == {}


def test_what_is_on_the_shelves(told: Published) -> None:
    assert len(told.says.shelves) == 26
    assert told.shelves == told.says.shelves


def test_a_night_after_another_publishes_what_one_afresh_does(published: dict[str, dict[str, Published]]) -> None:
    for moment in MOMENTS:
        one, other = published["incremental"][moment], published["afresh"][moment]
        for name in ("orders", "lines", "days", "payments", "shelves"):
            assert _plain(getattr(one, name)) == _plain(getattr(other, name)), (moment, name)


def _plain(rows: dict[Any, Any]) -> dict[Any, Any]:
    """Rows without the columns that name their publication."""
    own = ("_publication_id", "known_at")
    return {
        key: {name: value for name, value in row.items() if name not in own} if isinstance(row, dict) else row
        for key, row in rows.items()
    }
