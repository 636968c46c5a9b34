"""A shop's folder: what nothing reads is refused by its name, and what is not filled in is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from include.contract.statement import has_statement
from include.sources import key_types, shop_sources
from include.sources.dimensions import with_dimensions
from include.sources.shop_file import ShopFile


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with one source."""
    (tmp_path / "orders.sql").write_text("select 1")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("order_item.sql", "order_item.sql: perhaps order_items.sql is meant"),
        ("Orders.SQL", "Orders.SQL: perhaps orders.sql is meant"),
        ("shops.toml", "shops.toml: perhaps shop.toml is meant"),
        ("dimension.toml", "dimension.toml: perhaps dimensions.toml is meant"),
        ("clients.sql", "clients.sql: is a file that nothing reads"),
    ],
)
def test_a_file_that_nothing_reads_is_refused_with_the_nearest_name(shop: Path, name: str, near: str) -> None:
    (shop / name).touch()
    with pytest.raises(ValueError, match=re.escape(f"{shop}: {near}")):
        shop_sources(shop)


def test_every_such_file_is_named_at_once_and_a_page_beside_them_may_be_there(shop: Path) -> None:
    (shop / "README.md").touch()
    assert "orders" in shop_sources(shop)
    for name in ("units.toml", "order_lines.sql"):
        (shop / name).touch()
    with pytest.raises(ValueError, match=r"order_lines.sql: .*; units.toml: are files that nothing reads"):
        shop_sources(shop)


@pytest.mark.parametrize(
    ("file", "text", "near"),
    [
        (
            "shop.toml",
            "[unit]\ndecimals = 3",
            "unit is unknown; it may have [money], [units], [stock], [trade]: perhaps",
        ),
        ("shop.toml", "[units]\ndecimal = 3", "[units] decimal is unknown; it may have decimals: perhaps decimals is"),
        ("keys.toml", 'order = "text"', "expected a source and one of integer, text, uuid: perhaps orders is meant"),
        ("dimensions.toml", '[store]\nsorce = "orders"', "meaning: perhaps source is meant"),
        ("dimensions.toml", '[store]\nsource = "order"\nmeaning = "x"', ": perhaps orders is meant"),
    ],
)
def test_a_name_in_a_file_that_is_not_known_has_the_nearest_beside_it(
    shop: Path, file: str, text: str, near: str
) -> None:
    (shop / file).write_text(text)
    with pytest.raises(ValueError, match=re.escape(near)):
        key_types(shop), ShopFile.of(shop), with_dimensions({}, shop)


def test_an_optional_source_that_is_not_filled_in_is_absent_and_another_one_is_not(shop: Path) -> None:
    started = "-- refunds: one row per refund\n/* select\n   … */ ;\n"
    (shop / "shipment_items.sql").write_text(started)
    (shop / "inventory.sql").write_text(started)
    found = shop_sources(shop)
    assert "inventory" in found  # its file is a mistake, which is said
    assert next(one.whole_sql for one in found["orders"].derived if one.column.name == "shipments") == "null"
    (shop / "shipment_items.sql").write_text(f"{started}select 1")
    assert "shipment_items" in next(
        one.whole_sql for one in shop_sources(shop)["orders"].derived if one.column.name == "shipments"
    )


@pytest.mark.parametrize("text", ["/* a /* b */ c */", "/* a /* b */ /* c */ d */ -- e\n;", "-- a"])
def test_comments_are_none_also_within_each_other(text: str) -> None:
    assert not has_statement(text)


def test_an_editors_own_files_are_left_alone(shop: Path) -> None:
    (shop / ".#orders.sql").symlink_to("nowhere")
    (shop / "._orders.sql").touch()
    assert "orders" in shop_sources(shop)


@pytest.mark.parametrize(
    "text",
    ["select '--'", "-- a\nselect 1 -- b", "/* a */ select 1", "/* a /* b */ c */ select 1", "-- /*\nselect 1 -- */"],
)
def test_a_statement_with_comments_is_one(text: str) -> None:
    assert has_statement(text)
