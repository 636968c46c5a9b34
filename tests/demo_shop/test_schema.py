"""A shop that was created before a column or a table existed gets it, and its nights go on."""

from __future__ import annotations

import re

import psycopg
import pytest

from include.demo_shop import schema
from include.demo_shop.schema import (
    create_schema,
    ddl,
    free_article_numbers,
    loosen_schema,
    upgrade_schema,
    widen_schema,
)
from include.extract.drift import SchemaDrift
from tests.conftest import Database
from tests.demo_shop.conftest import shopkeeper
from tests.demo_shop.contents import contents, structure
from tests.demo_shop.test_command_line import FILL, run
from tests.nights import Nights

_COMMENTS = """
select attrelid::regclass || '.' || attname || ': ' || col_description(attrelid, attnum)
from pg_attribute
where attrelid::regclass::text in ('orders', 'refunds', 'payments', 'products', 'shipment_items')
    and attnum > 0 and not attisdropped
order by 1
"""


def forget_added_columns(shop: psycopg.Connection) -> None:
    """Make the shop one of the first release, with the rows that it has, less what it charged for delivery."""
    shop.execute(
        """
        update orders set
            total = total - shipping + shipping_discount - shipping_tax,
            tax = tax - shipping_tax
        """
    )
    # All of a discount is the order's then: what was refunded of its lines may be more than what they came to.
    shop.execute(
        """
        update refunds set amount = 0 where order_item_id in (
            select order_item_id from order_items where order_id in (
                select order_id from order_items where discount is not null
            )
        )
        """
    )
    # And prices were without tax.
    shop.execute(
        "update order_items set unit_price = unit_price / 1.1, discount = discount / 1.1 where price_includes_tax"
    )
    for table, column in schema._ADDED:
        shop.execute(f"alter table {table} drop column {column}".encode())
    for table in schema._NEW_TABLES:
        shop.execute(f"drop table {table}".encode())


@pytest.mark.parametrize("keys", ["integer", "uuid"])
def test_a_shop_of_an_earlier_release_is_brought_to_what_a_new_one_is(
    shop_database: Database, keys: schema.KeyType
) -> None:
    with shopkeeper(shop_database) as shop:
        with shop.transaction(force_rollback=True):
            create_schema(shop, keys)
            new = structure(shop), shop.execute(_COMMENTS).fetchall()
        first = ddl(keys)
        tables = "|".join(schema._NEW_TABLES)
        for added in (
            rf"(?s)create table ({tables}) \(.*?\n\);\n",
            r"(?m)^create sequence (order_refund|transaction|shipment_item|purchase_order_line)_id_numbers;\n",
            rf"(?m)^create index ({tables})_\w+ .*;\n",
            rf"(?ms)^comment on (table|column) ({tables})\b.*?;\n",
            r"(?m)^    (channel text|shipping numeric.*|shipping_\w+ numeric.*|discount numeric\(15, 3\)),\n",
            r"(?m)^    (tax numeric\(13, 3\)|returned_at timestamptz|sold_at timestamptz|discount_code text),\n",
            r"(?m)^    (price_includes_tax boolean.*|removed_at timestamptz),\n",
            r"(?m)^    constraint (orders_shipping|order_items_discount|refunds_tax)\w*_check .*\n",
            r"(?m)^    (product_group_\w+ text|price_currency text.*|price_includes_tax boolean.*|sku text),\n",
            r"(?m)^comment on column (products\.(product_group_\w+|price_\w+)|order_items\.sku) .*\n",
            r"(?m)^comment on column refunds\.(tax|returned_at) .*\n",
            r"(?m)^comment on column (orders\.channel|orders\.shipping(_discount|_tax)?|order_items\.discount) .*\n",
            r"(?m)^comment on column (order_items\.sold_at|\w+\.discount_code|order_items\.price_includes_tax) .*\n",
            r"(?m)^comment on column order_items\.removed_at is\n.*\n",
        ):
            first = re.sub(added, "", first)
        first = first.replace("numeric(15, 3)", "numeric(14, 2)").replace("numeric(13, 3)", "numeric(12, 2)")
        shop.execute(re.sub(r",(?=\n\);)", "", first).encode())
        assert structure(shop) != new[0]

        assert upgrade_schema(shop) == [
            *schema._NEW_TABLES,
            *(f"{table}.{column}" for table, column in schema._ADDED),
        ]
        assert widen_schema(shop) == [
            *("order_items.unit_cost", "order_items.unit_price"),
            *("orders.discount", "orders.subtotal", "orders.tax", "orders.total", "refunds.amount"),
        ]
        assert widen_schema(shop) == []

        assert (structure(shop), shop.execute(_COMMENTS).fetchall()) == new


def test_a_shop_that_lacks_nothing_is_not_locked(old_shop: Database) -> None:
    with shopkeeper(old_shop) as shop, shop.transaction():
        assert upgrade_schema(shop) == loosen_schema(shop) == free_article_numbers(shop) == widen_schema(shop) == []
        assert shop.execute(
            "select count(*) from pg_locks where pid = pg_backend_pid() and mode = 'AccessExclusiveLock'"
        ).fetchone() == (0,)


@pytest.mark.parametrize("keys", ["integer", "text"])
def test_a_shop_of_an_earlier_release_may_have_guests(shop_database: Database, keys: schema.KeyType) -> None:
    with shopkeeper(shop_database) as shop:
        create_schema(shop, keys)
        new = structure(shop), shop.execute(_COMMENTS).fetchall()
        for table, column in schema._LOOSENED:
            shop.execute(f"alter table {table} alter column {column} set not null".encode())
            shop.execute(f"comment on column {table}.{column} is null".encode())
        assert structure(shop) != new[0]
        assert run(shop_database, "create").count("in which orders.customer_id was never null: it may be now") == 1
        assert "never null" not in run(shop_database, "create")
        assert (structure(shop), shop.execute(_COMMENTS).fetchall()) == new


@pytest.mark.parametrize("keys", ["integer", "text"])
def test_in_a_shop_of_an_earlier_release_a_number_that_is_free_may_be_given_again(
    shop_database: Database, keys: schema.KeyType
) -> None:
    with shopkeeper(shop_database) as shop:
        create_schema(shop, keys)
        new = structure(shop), shop.execute(_COMMENTS).fetchall()
        shop.execute("alter table products drop constraint products_sku_key")
        shop.execute("alter table products add constraint products_sku_key unique (sku)")
        shop.execute("comment on column products.sku is null")
        assert run(shop_database, "create").count("products_sku_key holds of active products alone now") == 1
        assert "products_sku_key" not in run(shop_database, "create")
        assert (structure(shop), shop.execute(_COMMENTS).fetchall()) == new


def test_filling_a_shop_with_a_past_adds_the_columns_and_changes_no_row(old_shop: Database) -> None:
    with shopkeeper(old_shop) as shop:
        forget_added_columns(shop)
        before = contents(shop)
        assert run(old_shop, *FILL).count("lacked") == len(schema._ADDED) + len(schema._NEW_TABLES)
        assert "lacked" not in run(old_shop, *FILL)
        assert shop.execute("select count(*), count(channel) from orders").fetchone() == (len(before["orders"]), 0)
        forget_added_columns(shop)
        assert contents(shop) == before


def test_a_shop_of_an_earlier_release_has_nights_again(nights: Nights) -> None:
    forget_added_columns(nights.shop)
    with pytest.raises(SchemaDrift, match=r"public\.orders\.channel: expected text, found no such column") as refused:
        nights.report()
    assert "public.payments: expected, found no table of that name" in str(refused.value)
    upgrade_schema(nights.shop)
    run_id = nights.report()
    assert nights.ask("select count(*) > 1000, count(channel) from reporting.orders") == [(True, 0)]
    assert nights.ask(
        "select broken from audit.expectation_results where run_id = %s and rule = 'channel_known'", run_id
    ) == [(0,)]
