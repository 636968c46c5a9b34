"""What make map says of rows that are not read as they are meant, which nothing but the rows shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from include.pipeline import hints
from include.pipeline.shop_check import check_shop
from include.pipeline.shop_page import ShopCheck, Verdict
from include.sources import SOURCES
from tests import bookshop
from tests.conftest import Database
from transforms.registry import TABLES, buildable


@pytest.fixture
def shop(
    shop_database: Database, own_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[psycopg.Connection, Path]]:
    """The bookshop and its folder."""
    with bookshop.read_from(shop_database, own_lake.parent / "bookshop", monkeypatch) as found:
        yield found


def _check() -> ShopCheck:
    return check_shop(buildable, [one.table for one in TABLES.values()], lambda _: None)


def test_what_only_the_rows_show_is_said_with_what_to_write(
    shop: tuple[psycopg.Connection, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, folder = shop
    database.execute("alter table laden.bestellung drop constraint bestellung_knr_fkey")
    database.execute("update laden.bestellung set knr = '' where bnr <= 'B/2'")  # B/1, B/10 to B/19, B/2
    database.execute("update laden.bestellung set knr = 'K999' where bnr = 'B/3'")
    database.execute("update laden.bestellung set summe = 2000")
    database.execute("update laden.zeile set menge = 0.35 where znr <= 3")
    database.execute("update laden.zeile set preis = 9.995 where znr > 55")
    database.execute("update laden.buch set titel = ' ' where isbn = '978-1'")
    (folder / "refunds.sql").write_text("-- select …\n")
    (folder / "customers.sql").write_text((folder / "customers.sql").read_text().partition("\nwhere")[0])
    monkeypatch.setattr(hints, "_MANY", 40)

    checked = _check()
    said = [str(one).replace(f"{folder}/", "") for one in checked.findings]
    page = str(checked)
    assert [one for one in said if "changed_since" in one] == [
        "customers.sql: it has no `:changed_since`, so every night reads all of its 40 rows: add a `where` with it"
    ]
    assert [one for one in said if "empty text" in one] == [
        (
            "products.sql:4: name is an empty text in 1 rows, such as 978-1, which is a value and not null:"
            " where it stands for none, write `nullif(trim(titel), '') as name`"
        ),
        (
            "orders.sql:3: customer_id is an empty text in 12 rows, such as B/1, which is a value and not null:"
            " where it stands for none, write `nullif(trim(knr), '') as customer_id`"
        ),
    ]
    assert [one for one in said if "not readable in" in one] == [
        (
            "order_items.sql:6: quantity is not readable in 3 rows, such as 0.35: the shop's units have no decimals:"
            " where goods are sold by weight or length, say `decimals = 2` below [units] in shop.toml"
            " before its first night"
        ),
        (
            "order_items.sql:7: unit_price is not readable in 5 rows, such as 9.995: it is finer than the shop's 2"
            ' decimals: say below [money] in shop.toml how amounts are rounded, `rounding = "half_up"`, or in the'
            " statement `round(…, 2)`"
        ),
    ]
    assert [one for one in said if "amounts has a part" in one] == [
        (
            "orders.sql:6: none of its 120 amounts has a part of a unit (subtotal, tax, total):"
            " if the shop writes cents, write `summe / 100.0`, and so for each"
        )
    ]
    orders = next(one for one in checked.sources if one.name == "orders")
    assert [(one.rule, one.rows, one.example) for one in orders.warned] == [("customer_exists", 13, "B/1")]
    assert (
        "  warns, customer_exists: 13 rows, such as B/1. customer_id is a row of customers.\n"
        "    deleted in the shop, or never there: where an empty text or a 0 stands for none, give null\n"
    ) in page
    assert (
        "Left out: optional; without it a table is built with no rows of it\n"
        "  refunds: its file is not filled in\n  order_refunds\n"
    ) in page
    assert not [one for one in checked.findings if one.stops]


@pytest.mark.usefixtures("shop")
def test_a_shop_that_fits_has_no_such_hint() -> None:
    checked = _check()
    said = [one.what for one in checked.findings if "may hold a fraction" not in one.what]
    assert said == ["none of its 60 orders has a tax"]
    assert [one.warned for one in checked.sources if one.warned] == []


def test_every_hint_is_of_a_rule_that_there_is() -> None:
    names = {rule.name for source in SOURCES.values() for rule in source.all_rules}
    assert [name for name in hints.RULES if not any(one == name or one.endswith(name) for one in names)] == []
    assert hints.of_rule("warehouse_exists") == hints.RULES["_exists"]
    assert hints.of_rule("order_exists") == hints.RULES["order_exists"]
    assert hints.of_rule("price_credible") == ""


def test_a_statement_that_gives_nothing_and_one_that_gives_rows_twice_are_said(
    shop: tuple[psycopg.Connection, Path],
) -> None:
    """Its only warehouse in two rows would be two that are tolerated, and then there is none."""
    _, folder = shop
    customers, warehouses = (folder / f"{name}.sql" for name in ("customers", "warehouses"))
    customers.write_text(customers.read_text().partition("\nwhere")[0] + "\nwhere false\n")
    warehouses.write_text(warehouses.read_text().replace("laden.filiale", "laden.filiale, (values (1), (2)) as twice"))
    checked = _check()
    said = [str(one).replace(f"{folder}/", "") for one in checked.findings]
    assert [one for one in said if "gives no row" in one] == [
        (
            "customers.sql: it gives no row: a night that had some before waits for an approval, as if all of them were"
            " gone: look at its `from` and `where`, unless the shop has none yet"
        )
    ]
    assert [one for one in said if "several rows" in one] == [
        (
            "warehouses.sql: 1 of its keys stand in several rows, such as 1: see whether one of its joins finds several"
            " rows for one"
        )
    ]
    (branches,) = (one for one in checked.sources if one.name == "warehouses")
    assert (branches.held, branches.tolerated) == (2, 1)
    assert checked.verdict is Verdict.WAIT
    assert any(one.startswith("warehouses: 2 of 2 rows") for one in checked.why)


def test_what_a_window_is_compared_with_and_what_changes_by_itself_is_said(
    shop: tuple[psycopg.Connection, Path],
) -> None:
    """A timestamp without a zone begins the window some hours off; a time of reading makes every row a new one."""
    _, folder = shop
    orders, products, customers = (folder / f"{name}.sql" for name in ("orders", "products", "customers"))
    orders.write_text(
        orders.read_text().rstrip().rstrip(";") + "\n-- :changed_since\n  and bestellt >= :changed_since\n"
        "  or bestellt::date >= :changed_since\n"
        "  or bestellt >= :changed_since at time zone 'Europe/Berlin';\n"
    )
    since = re.search(r"[^\n]* as updated_at", products.read_text())
    assert since is not None
    products.write_text(products.read_text().replace(since[0], "    now() as updated_at"))
    broken = customers.read_text()
    customers.write_text(broken.replace("select", "selekt"))
    checked = _check()
    said = [str(one).replace(f"{folder}/", "") for one in checked.findings if not one.stops]
    last = orders.read_text().count("\n")
    zone = "(the zone in which the shop writes it)"
    assert [one for one in said if "compared with" in one] == [
        (
            f"orders.sql:{last - 2}: :changed_since is compared with a timestamp without time zone: the window begins"
            f" some hours too early or too late: write `:changed_since at time zone 'Europe/Berlin'` {zone}"
        ),
        (
            f"orders.sql:{last - 1}: :changed_since is compared with a date: the window begins some hours too early or"
            f" too late: write `(:changed_since at time zone 'Europe/Berlin')::date` {zone}"
        ),
    ]
    assert [one.partition(", and is checked")[0] for one in said if "time of reading" in one] == [
        "products.sql:10: updated_at is the time of reading: every row is new in every night"
    ]


def test_orders_without_any_tax_are_said(shop: tuple[psycopg.Connection, Path]) -> None:
    _, folder = shop

    def untaxed() -> list[str]:
        said = [str(one).replace(f"{folder}/", "") for one in _check().findings]
        return [one.partition(": if")[0] for one in said if "has a tax" in one]

    assert untaxed() == ["orders.sql:8: none of its 60 orders has a tax"]
    orders = folder / "orders.sql"
    orders.write_text(orders.read_text().replace("0.00 as tax", "case when bnr = 'B/1' then 0.07 else 0 end as tax"))
    assert untaxed() == []
