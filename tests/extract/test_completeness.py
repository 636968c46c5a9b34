"""The proof: whatever a cursor does not see is found by checksums, healed, and named; what does not heal stops."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from pyarrow import parquet

from include.extract.completeness import Incomplete
from include.lake import tables as lake
from include.lake import writes
from include.pipeline import nightly
from include.settings import settings
from tests.conftest import Database
from tests.nights import LAST_DAY, Nights

NEXT_DAY = LAST_DAY + timedelta(days=1)


def read(nights: Nights, run: str, source: str) -> tuple[Any, ...]:
    """What the ledger says of a source: late, gone, deleted, proof, complete."""
    (row,) = nights.ask(
        "select late, gone, deleted, proof, complete from audit.source_counts where run_id = %s and source = %s",
        run,
        source,
    )
    return row


@pytest.mark.after_a_night
@pytest.mark.long
def test_what_a_cursor_does_not_see_is_right_the_next_morning(nights: Nights) -> None:
    """A row committed late, an old one changed without its time, one gone for another: counts would never tell."""
    shop = nights.shop
    [(gone,)] = shop.execute("select max(refund_id) from refunds where not restocked").fetchall()
    shop.execute("delete from refunds where refund_id = %s", [gone])
    shop.execute(
        "insert into refunds (refund_id, order_item_id, quantity, amount, restocked, refunded_at, updated_at)"
        " select 900000, order_item_id, 1, 1.00, false, ordered_at + interval '2 days', ordered_at + interval '2 days'"
        " from order_items join orders using (order_id) where status = 'delivered' and order_item_id not in"
        " (select order_item_id from refunds) order by order_item_id limit 1"
    )
    shop.execute("update order_items set unit_cost = unit_cost + 1 where order_item_id = 3")
    run = nights.report(NEXT_DAY)
    assert read(nights, run, "refunds") == (1, 1, 1, "whole", True)
    assert read(nights, run, "order_items") == (1, 0, 0, "whole", True)
    assert read(nights, run, "orders") == (0, 0, 0, "whole", True)
    incremental = nights.published()
    nights.report(NEXT_DAY, full_refresh=True)
    assert nights.published() == incremental


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_hard_deleted_order_is_gone_with_all_that_hangs_on_it(nights: Nights) -> None:
    shop = nights.shop
    nights.set_aside(("inventory_movements", "inventory_movements_order_item_id_fkey"))
    order = "(select min(order_id) from order_items where order_item_id not in (select order_item_id from refunds))"
    [(number,)] = shop.execute(f"select {order}".encode()).fetchall()
    shop.execute(
        "delete from shipment_items where order_item_id in (select order_item_id from order_items where order_id = %s)",
        [number],
    )
    lines = shop.execute("delete from order_items where order_id = %s", [number]).rowcount
    shop.execute("delete from order_refunds where order_id = %s", [number])
    payments = shop.execute("delete from payments where order_id = %s", [number]).rowcount
    shop.execute("delete from orders where order_id = %s", [number])
    run = nights.run(NEXT_DAY)
    assert read(nights, run, "orders") == (0, 1, 1, "whole", True)
    assert read(nights, run, "order_items") == (0, lines, lines, "whole", True)
    assert read(nights, run, "payments") == (0, payments, payments, "whole", True)
    assert nights.ask("select count(*) from reporting.orders where order_id = %s", number) == [(0,)]
    incremental = nights.published()
    nights.run(NEXT_DAY, full_refresh=True)
    assert nights.published() == incremental


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_copy_that_is_not_the_shops_is_not_published(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row lost on its way into the lake, and a value that is another there."""
    before = nights.published()
    nights.shop.execute("update products set unit_price = unit_price + 1, updated_at = now() where product_id < 3")
    merge = writes.merge
    with monkeypatch.context() as broken:
        broken.setattr(
            writes, "merge", lambda layer, name, key, rows, *rest: merge(layer, name, key, _without_first(rows), *rest)
        )
        with pytest.raises(Incomplete, match=r"the copy differs from the shop; .*\. products: the shop.*buckets"):
            nights.report(NEXT_DAY)
    assert nights.published() == before
    nights.report(NEXT_DAY)
    assert nights.published().keys() == before.keys()


def _without_first(rows: Any) -> Any:
    import pyarrow as pa

    table = rows.read_all()
    return pa.RecordBatchReader.from_batches(table.schema, table.slice(1).to_batches())


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_file_that_is_not_what_the_gate_wrote_is_seen_and_healed(nights: Nights) -> None:
    """Files are added up once; one that became another is added up again."""
    nights.report(NEXT_DAY)
    right = nights.published()
    file = Path(lake.files("clean", "refunds")[0])
    size = file.stat().st_size
    rows = parquet.read_table(file)
    amounts = rows["amount_cents"].to_pylist()
    parquet.write_table(
        rows.set_column(
            rows.schema.get_field_index("amount_cents"),
            rows.schema.field("amount_cents"),
            pa.array([amounts[0] + 1, *amounts[1:]], rows.schema.field("amount_cents").type),
        ),
        file,
    )
    for log in Path(lake.folder("clean", "refunds")).glob("_delta_log/*.json"):
        log.write_text(log.read_text().replace(f'"size":{size}', f'"size":{file.stat().st_size}'))
    run = nights.report(NEXT_DAY)
    assert read(nights, run, "refunds") == (1, 0, 0, "whole", True)
    assert nights.published() == right


@pytest.mark.after_a_night
def test_a_source_that_is_seldom_compared_whole_is_counted_and_its_new_keys_are_compared(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKTAKE_PROOF_EVERY", '{"order_items": 0, "customers": 0, "refunds": 0}')
    settings.cache_clear()
    nights.shop.execute("update order_items set unit_cost = unit_cost + 1 where order_item_id = 3")
    nights.shop.execute(
        "delete from refunds where refund_id = (select max(refund_id) from refunds where not restocked)"
    )
    nights.shop.execute(
        "insert into customers (customer_id, email, name, country, created_at, updated_at)"
        " select 800000 + n, 'late' || n || '@example.com', 'late', country, created_at, case n when 1 then now() else"
        " created_at end from customers, generate_series(1, 2) as n where customer_id = 1"
    )
    run = nights.begin(NEXT_DAY)
    nightly.extract(run)
    # Nobody looked for the changed line; the count gave the refund away; beside the new customer the late one was seen.
    ledger = "select source, late, gone, proof from audit.source_counts where run_id = %s and source in"
    assert nights.ask(f"{ledger} ('order_items', 'customers', 'refunds') order by 1", run) == [
        ("customers", 1, 0, "whole"), ("order_items", 0, 0, "new keys"), ("refunds", 0, 1, "whole"),
    ]  # fmt: skip


@pytest.mark.after_a_night
@pytest.mark.long
def test_the_watermark_stays_before_what_is_still_open_in_the_shop(nights: Nights, old_shop: Database) -> None:
    """Its rows will carry the time at which it began, and be committed after the snapshot."""
    with psycopg.connect(old_shop.url("shopkeeper")) as slow:
        slow.execute("update customers set name = 'slow', updated_at = now() where customer_id = 1")
        [(began,)] = slow.execute("select now()").fetchall()
        nights.report(NEXT_DAY)
        assert nights.ask("select distinct changed_until from audit.watermarks") == [(began,)]
        slow.commit()
    run = nights.report(NEXT_DAY)
    assert read(nights, run, "customers")[0] == 0  # the cursor saw it
    assert nights.ask("select min(changed_until) > %s from audit.watermarks", began) == [(True,)]
