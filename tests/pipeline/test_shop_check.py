"""make map: what a night would find wrong with a shop, and do, found without a night."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copytree
from typing import cast

import psycopg
import pytest

from include.contract import Severity, Source
from include.contract.rules import between
from include.pipeline.shop_check import check_shop
from include.pipeline.shop_page import ShopCheck, Verdict
from include.settings import settings
from include.sources import SOURCES
from tests import bookshop
from tests.conftest import Database
from transforms.registry import TABLES, buildable


@dataclass(frozen=True)
class Mapped:
    """The bookshop and its folder."""

    database: psycopg.Connection
    folder: Path

    def check(self) -> ShopCheck:
        """What ``make map`` finds."""
        return check_shop(buildable, [one.table for one in TABLES.values()], lambda _: None)


def declare(folder: Path, name: str, more: str = "") -> None:
    """Declare a dimension of orders."""
    said = f'[{name}]\nsource = "orders"\nmeaning = "Which branch sold it."\n{more}\n'
    (folder / "dimensions.toml").write_text(said)


@pytest.fixture
def shop(shop_database: Database, own_lake: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapped]:
    """The bookshop; the warehouse cannot be reached, and need not be."""
    with bookshop.read_from(shop_database, own_lake.parent / "bookshop", monkeypatch) as (database, folder):
        yield Mapped(database, folder)


def test_a_shop_that_fits_would_be_published(shop: Mapped) -> None:
    checked = shop.check()
    page = str(checked)
    assert checked.verdict is Verdict.PUBLISH, page
    assert {source.name: (source.rows, source.held) for source in checked.sources} == {
        "customers": (40, 0), "products": (30, 0), "warehouses": (1, 0), "orders": (60, 0), "order_items": (60, 0),
        "refunds": (0, 0), "order_refunds": (0, 0), "payments": (0, 0), "shipment_items": (0, 0),
        "purchase_order_lines": (0, 0), "kit_components": (0, 0),
    }  # fmt: skip
    floats = [one for one in checked.findings if "may hold a fraction of a cent" in one.what]
    assert [one.what.partition(" ")[0] for one in floats] == [
        "unit_cost", "unit_price", "subtotal", "total", "unit_price",
    ]  # fmt: skip
    assert not any(one.stops for one in checked.findings)
    assert len(checked.tables) == len(TABLES) - 7
    assert checked.left_out["inventory_daily"] == (
        "the shop has no source inventory; the shop has no source inventory_movements"
    )
    absent = ["refunds", "order_refunds", "payments", "shipment_items", "purchase_order_lines", "kit_components"]
    assert checked.absent == absent
    sample = {line[0]: line[1:] for line in next(one for one in checked.sources if one.name == "orders").sample}
    assert len(sample["order_id"]) == 10
    assert (sample["order_id"][0], sample["total"][0], sample["ordered_on"][0]) == ("B/1", "19.98", "2026-02-01")
    assert page.splitlines()[-1] == "A night would publish"


def test_whole_amounts_may_be_cents_and_empty_files_leave_tables_out(shop: Mapped) -> None:
    orders = (shop.folder / "orders.sql").read_text()
    (shop.folder / "orders.sql").write_text(orders.replace("summe as total", "summe::int as total"))
    (shop.folder / "inventory.sql").write_text("-- select …\n")
    checked = shop.check()
    said = [str(one).replace(f"{shop.folder}/", "") for one in checked.findings]
    assert (
        "orders.sql:10: total is integer, and is read as whole units of the currency:"
        " if it is cents, write `summe::int / 100.0`"
    ) in said
    assert said[-1] == (
        "inventory.sql: there is no statement in it: write one, or remove the file if the shop has no such table"
    )
    assert "inventory_daily" in checked.left_out


def test_a_shop_that_rounds_is_asked_for_what_its_lines_come_to(shop: Mapped) -> None:
    (shop.folder / "shop.toml").write_text('[money]\nrounding = "half_up"\n')
    said = [str(one).removeprefix(f"{shop.folder}/") for one in shop.check().findings]
    assert not any("fraction of a cent" in one for one in said)
    assert (
        "order_items.sql: amounts are rounded, and it leaves out subtotal: a rounded price times a quantity may be too"
        " much: give what each line comes to as `subtotal`"
    ) in said


def test_what_totals_are_more_than_their_parts_is_added_up(shop: Mapped) -> None:
    (shop.folder / "shop.toml").write_text('[money]\nrounding = "half_up"\n')
    assert shop.check().roundings == []
    orders = (shop.folder / "orders.sql").read_text()
    more = "summe + case when bnr like '%1' then 0.02 when bnr like '%2' then -0.01 else 0 end as total"
    (shop.folder / "orders.sql").write_text(orders.replace("summe as total", more))
    checked = shop.check()
    assert checked.verdict is Verdict.PUBLISH, str(checked)
    assert [one.partition(", counted")[0] for one in checked.roundings] == [
        (
            "12 orders of 60 in EUR: their lines, shipping and tax come to 0.12 EUR less and 0.06 EUR more than"
            " their totals"
        )
    ]
    assert "\n\nRounding\n  12 orders of 60 in EUR" in str(checked)


@pytest.mark.after_a_night
@pytest.mark.usefixtures("nights")
def test_rows_that_earlier_nights_accepted_and_that_are_read_no_more_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement of which a condition leaves out what it gave before, or whose keys are written otherwise."""
    folder = copytree(settings().sources, tmp_path / "changed")
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()

    def check() -> ShopCheck:
        return check_shop(buildable, [one.table for one in TABLES.values()], lambda _: None)

    assert check().verdict is Verdict.PUBLISH
    file = folder / "customers.sql"
    file.write_text(file.read_text().replace("where", "where false and"))
    emptied = check()
    assert emptied.verdict is Verdict.WAIT
    assert re.match(r"customers: ([0-9,]+) of \1 rows are gone from the shop, more than ", emptied.why[0])


def test_rows_that_the_gate_would_hold_are_counted_by_rule(shop: Mapped) -> None:
    shop.database.execute("update laden.zeile set preis = 9.995 where znr <= 20")
    checked = shop.check()
    assert (checked.verdict, checked.can_run) == (Verdict.WAIT, True)
    held = {source.name: {rule: rows for rule, (rows, _) in source.broken.items()} for source in checked.sources}
    assert held["order_items"]["readable"] == 20
    assert held["orders"] == {"subtotal_equals_lines": 20}
    assert [one.partition(" rows would be in quarantine, more than ")[0] for one in checked.why] == [
        "orders: 20 of 60",
        "order_items: 20 of 60",
    ]
    assert "unit_price = 9.995" in str(checked)


@pytest.mark.parametrize(
    ("breakage", "said"),
    [
        (lambda folder: (folder / "clients.sql").touch(), "clients.sql: is a file that nothing reads"),
        (lambda folder: (folder / "keys.toml").write_text("x"), "keys.toml"),
        (
            lambda folder: declare(folder, "store", "day = 1"),
            "dimensions.toml: [store] day is unknown; it may have source",
        ),
        (lambda folder: declare(folder, "units"), "[units]: reporting.orders has a column of that name: choose"),
        (
            lambda folder: declare(folder, "branch"),
            "the column branch is missing (Which branch sold it): add `… as branch`, or take the dimension out of",
        ),
        (
            lambda folder: (folder / "orders.sql").write_text("select bnr as order_id from laden.bestellung"),
            "18 to mend before a night can read it",
        ),
        (lambda folder: (folder / "schema.toml").write_text("[reads]\n"), "does not say what customers"),
    ],
)
def test_a_shop_that_cannot_be_read_stops_and_everything_is_said(
    shop: Mapped, breakage: Callable[[Path], object], said: str
) -> None:
    breakage(shop.folder)
    checked = shop.check()
    assert (checked.verdict, checked.can_run, checked.sources) == (Verdict.STOP, False, ())
    assert said in str(checked)
    assert max(line.count(shop.folder.name) for line in str(checked).splitlines()) == 1  # a file is named once
    assert str(checked).splitlines()[-2:] == ["A night would stop", "  the files above are to be mended first"]


def test_a_rule_that_stops_a_night_is_said(shop: Mapped, monkeypatch: pytest.MonkeyPatch) -> None:
    strict = between("quantity", "one_of_each", "A line has one unit.", most=1, severity=Severity.STOP)
    lines = SOURCES["order_items"]
    monkeypatch.setitem(cast("dict[str, Source]", SOURCES), "order_items", replace(lines, rules=(*lines.rules, strict)))
    checked = shop.check()
    assert checked.verdict is Verdict.STOP
    assert "order_items, rule one_of_each: 60 rows, such as 1, 10" in checked.why[0]
