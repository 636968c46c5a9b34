"""Rows that are gone from the shop: hidden ones are refused, too many wait for an operator, a few are taken out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from deltalake import DeltaTable

from include.extract import snapshot, sql_files
from include.extract.drift import SchemaDrift
from include.extract.statements import StatementsRefused
from include.gate.row_outcomes import NightStopped
from include.lake import tables as lake
from include.ledger import approvals
from include.pipeline import nightly
from include.pipeline.approval import question
from include.serve import page
from include.settings import settings
from include.sources import SOURCES, shop_sources
from tests.nights import Nights
from transforms.registry import TABLES

TABLES_OF_THE_SHOP = ", ".join(SOURCES)
# Every thirtieth order, with all that hangs on it; where it is kept, to be put back.
SOME = {
    "inventory_movements": "order_item_id in (select order_item_id from order_items where order_id % 30 = 0)",
    "refunds": "order_item_id in (select order_item_id from order_items where order_id % 30 = 0)",
    "order_refunds": "order_id % 30 = 0",
    "payments": "order_id % 30 = 0",
    "shipment_items": "order_item_id in (select order_item_id from order_items where order_id % 30 = 0)",
    "order_items": "order_id % 30 = 0",
    "orders": "order_id % 30 = 0",
}


def delete_some(nights: Nights) -> None:
    nights.shop.execute("create schema kept")
    for table, where in SOME.items():
        nights.shop.execute(f"create table kept.{table} as select * from {table} where {where}".encode())
    for table, where in SOME.items():
        nights.shop.execute(f"delete from {table} where {where}".encode())


def put_back(nights: Nights) -> None:
    for table in reversed(SOME):
        nights.shop.execute(f"insert into {table} overriding system value select * from kept.{table}".encode())


def checked(nights: Nights, **asked: Any) -> str:
    """A run up to the gate."""
    run = nights.begin(**asked)
    nightly.extract(run)
    nights.judge(run)
    return run


@pytest.mark.after_a_night
def test_a_policy_that_hides_rows_is_named_and_refused(nights: Nights) -> None:
    nights.shop.execute("alter table refunds enable row level security")
    before = nights.published()
    with pytest.raises(SchemaDrift, match=r"source refunds: table public\.refunds: its row-level security would hide"):
        nightly.extract(nights.begin())
    # Whatever is not known of the shop's schema, Postgres itself does not leave rows out.
    sources = shop_sources(settings().sources)
    refused = r"refunds\.sql: row-level security of refunds would hide rows: `alter role extractor bypassrls`"
    with pytest.raises(StatementsRefused, match=refused):
        snapshot.extract(sources, dict.fromkeys(sources, sql_files.EVERYTHING), "hidden")
    assert nights.published() == before


@pytest.mark.after_a_night
def test_a_view_that_sees_every_row_is_read(nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of the table and the view is not bound by the table's policies."""
    folder = copytree(settings().sources, tmp_path / "sources")
    file = folder / "refunds.sql"
    file.write_text(file.read_text().replace("from refunds", "from all_refunds"))
    (folder / "schema.toml").unlink()
    nights.shop.execute("create view all_refunds as select * from refunds")
    nights.shop.execute("grant select on all_refunds to extractor")
    nights.shop.execute("revoke select on refunds from extractor")
    nights.shop.execute("alter table refunds enable row level security")
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    nightly.extract(nights.begin())
    nightly.extract(nights.begin())
    [(refunds,)] = nights.shop.execute("select count(*) from refunds").fetchall()
    assert nights.ask("select distinct source_rows from audit.source_counts where source = 'refunds'") == [(refunds,)]


@pytest.mark.after_a_night
@pytest.mark.parametrize("full_refresh", [False, True])
@pytest.mark.long
def test_a_night_that_lost_three_in_a_hundred_waits(nights: Nights, full_refresh: bool) -> None:
    [(rows,)] = nights.shop.execute("select count(*) from orders").fetchall()
    published = nights.published()
    delete_some(nights)
    gone, total, first, last = nights.shop.execute(
        "select count(*), sum(total) filter (where currency = 'EUR'), min(ordered_at)::date, max(ordered_at)::date"
        " from kept.orders"
    ).fetchall()[0]
    assert 0.03 < gone / rows < 0.04
    run = checked(nights, full_refresh=full_refresh)
    assert nightly.check_tolerance(run)
    asked = approvals.latest(run)
    assert asked is not None
    orders = next(one for one in asked.evidence if one["source"] == "orders")
    assert (orders["deleted"], orders["total"], orders["tolerance"], orders["over"]) == (gone, rows, 0.02, True)
    assert orders["amounts"]["EUR"] == f"{total:.3f}"
    assert (orders["days"]["first"], orders["days"]["last"]) == (f"{first}", f"{last}")
    assert all(int(key) % 30 == 0 for key in orders["samples"])
    assert len(orders["samples"]) == 3
    subject, body = question(asked.evidence)
    assert f"{gone} of {rows:,} orders" in subject
    assert "in quarantine" not in subject
    assert f"### orders: {gone} of {rows:,} rows are gone" in body
    assert f"{total:,.2f} EUR" in body
    shown = page.render(run)
    assert "Waits for you" in shown
    assert f'<td class="n bad">{gone}</td>' in shown
    with pytest.raises(NightStopped, match=rf"orders: {gone} of {rows:,} rows are gone from the shop, more than 2.0%"):
        nightly.accept(run)

    # Refused, yesterday's tables stay, and the next night asks again only if it is still so.
    assert nights.published() == published
    again = checked(nights, full_refresh=full_refresh)
    assert nightly.check_tolerance(again)
    put_back(nights)
    mended = checked(nights, full_refresh=full_refresh)
    assert not nightly.check_tolerance(mended)
    nightly.accept(mended)
    nights.build(mended, nights.reporting)
    nightly.publish(mended, nights.reporting)
    assert nights.published() == published


@pytest.mark.after_a_night
@pytest.mark.long
def test_an_approval_is_good_for_the_rows_that_were_gone_then(nights: Nights) -> None:
    delete_some(nights)
    run = checked(nights)
    assert nightly.check_tolerance(run)
    approvals.record_answer(run, approvals.Answer.APPROVED, "ada")
    nights.shop.execute("delete from refunds")
    nightly.extract(run)
    nights.judge(run)
    with pytest.raises(NightStopped, match="no longer those that were approved"):
        nightly.accept(run)
    nightly.check_tolerance(run)
    approvals.record_answer(run, approvals.Answer.APPROVED, "ada")
    nightly.accept(run)
    nights.build(run, nights.reporting)
    nightly.publish(run, nights.reporting)
    assert nights.ask("select count(*) from reporting.orders where mod(order_id, 30) = 0") == [(0,)]


@pytest.mark.after_a_night
def test_one_row_of_many_is_taken_out_without_a_question(nights: Nights) -> None:
    nights.shop.execute("delete from refunds where refund_id = (select max(refund_id) from refunds)")
    run = checked(nights)
    assert not nightly.check_tolerance(run)
    nightly.accept(run)
    assert nights.ask("select deleted from audit.source_counts where run_id = %s and source = 'refunds'", run) == [(1,)]


@pytest.mark.after_a_night
def test_a_shop_that_was_emptied_waits(nights: Nights) -> None:
    """Also a source of less than the ten rows that are always tolerated: the shop has three warehouses."""
    rows = {name: nights.shop.execute(f"select count(*) from {name}".encode()).fetchall()[0][0] for name in SOURCES}
    assert rows["warehouses"] < 10
    nights.shop.execute(f"truncate {TABLES_OF_THE_SHOP}".encode())
    run = checked(nights)
    assert nightly.check_tolerance(run)
    asked = approvals.latest(run)
    assert asked is not None
    assert {one["source"]: one["deleted"] for one in asked.evidence if "deleted" in one} == rows


@pytest.mark.long
def test_what_happened_stays_when_a_product_a_customer_and_a_warehouse_are_deleted(nights: Nights) -> None:
    """No row of theirs is written to. An incremental night ends in what a full refresh does."""
    nights = replace(nights, names=[name for name, one in TABLES.items() if one.table.schema == "reporting"])
    nights.report()
    days = ("daily_sales", "daily_product_sales", "refunds_daily", "order_lines", "orders", "fulfilment_daily")
    facts = [f"reporting.{name}" for name in days]
    before = nights.published()
    [(product, customer, warehouse)] = nights.shop.execute(
        "select min(product_id), min(customer_id), min(warehouse_id) from orders join order_items using (order_id)"
        " where status = 'delivered'"
    ).fetchall()
    nights.set_aside(
        ("orders", "orders_customer_id_fkey"),
        ("shipment_items", "shipment_items_warehouse_id_fkey"),
        ("kit_components", "kit_components_component_id_fkey"),
        *((table, f"{table}_{key}_id_fkey")
          for table in ("order_items", "inventory", "inventory_movements", "purchase_order_lines")
          for key in ("product", "warehouse")),
    )  # fmt: skip
    for table, key in (("products", product), ("customers", customer), ("warehouses", warehouse)):
        column = f"{table.removesuffix('s')}_id"
        nights.shop.execute(f"delete from {table} where {column} = %s".encode(), [key])
    nights.report()
    after = nights.published()
    assert nights.ask("select * from audit.quarantine where outcome = 'open'") == []
    assert {name: after[name] for name in facts} == {name: before[name] for name in facts}
    assert nights.ask("select name from reporting.products where product_id = %s", product) == [(None,)]
    assert nights.ask("select customer_id from reporting.customers where customer_id = %s", customer) == [(customer,)]
    nights.report(full_refresh=True)
    assert nights.published() == after


@pytest.mark.after_a_night
def test_a_warning_of_a_row_that_is_not_there_ends_when_it_arrives(nights: Nights) -> None:
    """The order is not written to when its customer is, and was written too long ago to be read again."""

    def is_known() -> Any:
        rows = DeltaTable(lake.folder("clean", "orders")).to_pyarrow_table(columns=["order_id", "customer_exists"])
        return dict(zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True))[order]

    nights.set_aside(("orders", "orders_customer_id_fkey"))
    [(order,)] = nights.shop.execute("select max(order_id) from orders where customer_id is not null").fetchall()
    nights.shop.execute(
        "update orders set customer_id = 900001, updated_at = now() - interval '1 day' where order_id = %s", [order]
    )
    nights.report()
    assert is_known() is False
    nights.shop.execute(
        "insert into customers (customer_id, email, name, country) overriding system value"
        " values (900001, 'late@example.com', 'Late', 'DE')"
    )
    nights.report()
    assert is_known() is True
