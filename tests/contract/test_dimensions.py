"""What a shop's ``dimensions.toml`` says: which columns are read and carried, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from include.contract import ContractError, Dimension, Type, dimensions_of
from include.contract.families import check_needs
from include.contributing.pages import SHOPS
from include.settings import ROOT
from include.sources import SOURCES, shop_sources
from transforms.registry import TABLES

DECLARED = """
[store]
source = "orders"
column = "store_id"
meaning = "The store that sold it."

[home]
source = "customers"
column = "country"
meaning = "Where the account is."

[line_note]
source = "order_items"
column = "discount_code"
meaning = "The promotion of the line."

[brand]
source = "products"
meaning = "Who makes it."
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A shop without warehouses."""
    for name in ("orders", "order_items", "customers", "products"):
        (tmp_path / f"{name}.sql").write_text("select 1 where updated_at >= :changed_since")
    return tmp_path


def test_the_channel_is_a_dimension_of_every_shop(shop: Path) -> None:
    assert [(one.name, one.column, one.built_in) for one in dimensions_of(shop_sources(shop))] == [
        ("channel", "channel", True)
    ]
    (shop / "dimensions.toml").write_text("# Nothing yet.\n")
    assert shop_sources(shop)["orders"] == SOURCES["orders"].typed({}).deriving("shipments", "null")


def test_a_column_is_read_where_it_is_and_carried_to_orders_or_lines(shop: Path) -> None:
    """The customer's is on the order, the product's on the line; a column that there is already is not read twice."""
    (shop / "dimensions.toml").write_text(DECLARED)
    sources = shop_sources(shop)
    assert dimensions_of(sources)[1:] == (
        Dimension("store", "store_id", "The store that sold it."),
        Dimension("home", "customers_country", "Where the account is."),
        Dimension("line_note", "discount_code", "The promotion of the line.", of_line=True),
        Dimension("brand", "products_brand", "Who makes it.", of_line=True),
    )
    read = {name: [c.name for c in one.columns if c not in SOURCES[name].columns] for name, one in sources.items()}
    assert {name: columns for name, columns in read.items() if columns} == {
        "orders": ["store_id"],
        "products": ["brand"],
    }
    assert {name: one.added for name, one in sources.items() if one.added} == {
        "orders": ("store_id", "customers_country"),
        "products": ("brand",),
        "order_items": ("products_brand",),
    }
    assert (sources["orders"]["store_id"].type, sources["orders"]["store_id"].nullable) == (Type.TEXT, True)
    check_needs(sources)  # a changed customer has its orders checked again


def test_a_customers_value_is_found_by_the_key(shop: Path) -> None:
    (shop / "dimensions.toml").write_text(DECLARED)
    (home,) = (one for one in shop_sources(shop)["orders"].derived if one.column.name == "customers_country")
    found = duckdb.sql(
        "with customers(customer_id, country) as (values (1, 'DE'), (2, 'AT'), (4, null)), orders(customer_id) as"
        f" (values (1), (2), (3), (4), (null)) select customer_id, {home.sql} from orders as row order by 1 nulls last"
    )
    assert found.fetchall() == [(1, "DE"), (2, "AT"), (3, None), (4, None), (None, None)]


def test_a_published_table_has_a_column_for_each_that_its_rows_can_have(shop: Path) -> None:
    (shop / "dimensions.toml").write_text(DECLARED)
    dimensions = dimensions_of(shop_sources(shop))
    added = {
        name: [column.name for column in one.table.of_shop({}, dimensions).columns if column not in one.table.columns]
        for name, one in TABLES.items()
    }
    assert {name: columns for name, columns in added.items() if columns} == {
        "orders": ["store", "home"],
        "order_lines": ["store", "home", "line_note", "brand"],
    }
    taken = (Dimension("status", "store_id", "The store that sold it."),)
    with pytest.raises(ContractError, match=r"dimensions.toml: \[status\]: reporting.orders has a column of that name"):
        TABLES["orders"].table.of_shop({}, taken)
    assert TABLES["order_lines"].table.of_shop({}, taken)["status"].doc == "The store that sold it."


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ('[group]\nsource = "customers"\nmeaning = "x"', "[group]: group is a word of SQL: choose another name"),
        ('[user]\nsource = "orders"\nmeaning = "x"', "[user]: user is a word of SQL"),
        (
            '[a]\nsource = "orders"\ncolumn = "qualify"\nmeaning = "x"',
            "[a] column = 'qualify': qualify is a word of SQL",
        ),
        ('["store\\n"]\nsource = "orders"\nmeaning = "x"', "[store\n]: a name is lower-case snake_case"),
        (f'[{"a" * 41}]\nsource = "orders"\nmeaning = "x"', f"[{'a' * 41}]: a name has at most 40 letters"),
        (
            '[state]\nsource = "orders"\ncolumn = "status"\nmeaning = "x"',
            "[state] column = 'status': it changes from day to day",
        ),
        (
            '[mail]\nsource = "customers"\ncolumn = "email"\nmeaning = "x"',
            "[mail] column = 'email': it is personal",
        ),
        ("store = 1", "store is no table; write [store] with source, column, meaning"),
        ('[Store]\nsource = "orders"', "[Store]: a name is lower-case snake_case"),
        ('[store]\nmeaning = "It."', "[store] source = None: expected a text"),
        ('[store]\nsource = "orders"', "[store] meaning = None: expected a text"),
        ('[store]\nsource = "orders"\nmeaning = ""', "[store] meaning = '': expected a text"),
        (
            '[store]\nsource = "orders"\nmeaning = "It."\nunit = 1',
            "[store] unit is unknown; it may have source, column",
        ),
        ('[store]\nsource = "orders"\nmeaning = "It."\ncolumn = "a b"', "[store] column = 'a b': a name is lower-case"),
        (
            '[store]\nsource = "shops"\nmeaning = "It."',
            '[store] source = \'shops\': expected "orders" or "order_items"',
        ),
        (
            '[depot]\nsource = "warehouses"\nmeaning = "It."',
            "[depot] source = 'warehouses': the folder has no warehouses",
        ),
        ('[channel]\nsource = "orders"\nmeaning = "It."', "[channel] is not to be declared: every shop has it"),
        (
            '[place]\nsource = "orders"\ncolumn = "channel"\nmeaning = "It."',
            "[place] column = 'channel': that is the dimension channel already",
        ),
        (
            f'{DECLARED}[shop]\nsource = "orders"\ncolumn = "store_id"\nmeaning = "It."',
            "[shop] column = 'store_id': that is",
        ),
        (
            '[size]\nsource = "orders"\ncolumn = "total"\nmeaning = "It."',
            "[size] column = 'total': orders has it, and it is no text that the statement gives; the texts are status",
        ),
        (
            '[day]\nsource = "orders"\ncolumn = "ordered_on"\nmeaning = "It."',
            "[day] column = 'ordered_on': orders has it",
        ),
        ("[store", "Expected ']'"),
    ],
)
def test_what_may_not_be_said_is_named_with_its_file(shop: Path, said: str, refused: str) -> None:
    (shop / "dimensions.toml").write_text(said)
    with pytest.raises(ValueError, match=re.escape(f"{shop / 'dimensions.toml'}: {refused}")):
        shop_sources(shop)


def test_the_shops_of_the_project_say_what_their_tables_can_have() -> None:
    """In every folder the names are free in every table."""
    found = {}
    for name in SHOPS:
        dimensions = dimensions_of(shop_sources(ROOT / "include" / "sources" / name))
        assert all(one.table.of_shop({}, dimensions) for one in TABLES.values())
        found[name] = [one.name for one in dimensions]
    assert found == {
        "demo_shop": ["channel", "country"],
        "complete_journey": ["channel", "store"],
        "medusa": ["channel", "country"],
    }
