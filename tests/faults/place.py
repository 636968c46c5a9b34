"""Where a round is played: a shop, a warehouse and a lake, copies of ones that were prepared once.

Prepared is a published night with its features, and after it a day in which everything happens that a night must find:
edits, cancellations, a refund on another day, rows committed late and rows deleted, rows that go into quarantine and
rows that come out of it.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

import psycopg

from include.demo_shop.constraints import drop_constraint, open_notebook
from include.demo_shop.history import HistorySize, fill_history
from include.demo_shop.planting import plant, unplant
from include.demo_shop.schema import create_schema
from include.local.embedded_postgres import Cluster
from include.pipeline.one_shop import FILE
from tests.conftest import Database
from tests.faults.processes import Ended, Point, patiently, run
from tests.faults.state import State, left, look
from tests.faults.steps import NAMES, Asked, do
from tests.nights import LAST_DAY, of_a_copied_shop
from tests.object_server import ObjectServer

FIRST: Final[date] = LAST_DAY - timedelta(days=1)
SIZE: Final = HistorySize(orders=600, days=40, products=25)
_COPYING = threading.Lock()  # Postgres copies a database that nobody is connected to

_DAY: Final = """
update orders set status = 'cancelled', cancelled_at = ordered_at + interval '1 hour', cancelled_by = 'shop',
    cancellation_reason = 'test', updated_at = now()
where order_id in (select order_id from orders where status = 'pending' order by order_id limit 2);
update order_items set unit_cost = unit_cost + 1, updated_at = now() where order_item_id % 97 = 0;
update refunds set refunded_at = refunded_at + interval '1 day', updated_at = now()
where refund_id = (select min(refund_id) from refunds);
update customers set country = 'FR', updated_at = now() where customer_id % 41 = 0;
-- Committed late, with a time that lies before everything the night before has read.
update products set unit_cost = unit_cost + 1 where product_id = 3;
update customers set country = 'IT' where customer_id = 5;
-- An order is gone, with all that is part of it.
delete from inventory_movements where order_item_id in (select order_item_id from order_items where order_id = 100);
delete from refunds where order_item_id in (select order_item_id from order_items where order_id = 100);
delete from order_refunds where order_id = 100;
delete from payments where order_id = 100;
delete from shipment_items where order_item_id in (select order_item_id from order_items where order_id = 100);
delete from order_items where order_id = 100;
delete from orders where order_id = 100
"""
_REFERENCES: Final = (
    ("refunds", "refunds_order_item_id_fkey"),
    ("payments", "payments_order_id_fkey"),
    ("shipment_items", "shipment_items_order_item_id_fkey"),
    ("inventory_movements", "inventory_movements_order_item_id_fkey"),
)


@dataclass(frozen=True)
class Place:
    """A shop, a warehouse, and the folder of a lake.

    Attributes:
        shop: the shop's database.
        warehouse: the warehouse's.
        folder: what holds ``lake``, ``reports`` and ``temporary``.
        names: the tables that are built here.
        prepare: what every process that does a step does first.
        server: an S3 server that holds the lake of every copy; None where they lie in folders.
    """

    shop: Database
    warehouse: Database
    folder: Path
    names: tuple[str, ...] = NAMES
    prepare: Callable[[], None] | None = None
    server: ObjectServer | None = None

    @property
    def lake(self) -> Path:
        """The lake's folder."""
        return self.folder / "lake"

    @property
    def environment(self) -> dict[str, str]:
        """Where a process finds all of it."""
        moved = self.server and not self.lake.exists()
        return {
            "STOCKTAKE_SHOP_URL": self.shop.url("extractor"),
            "STOCKTAKE_WAREHOUSE_URL": self.warehouse.url("loader"),
            "STOCKTAKE_TIMEZONE": "UTC",
            "STOCKTAKE_LAKE": str(self.lake),
            "STOCKTAKE_REPORTS": str(self.folder / "reports"),
            "TMPDIR": str(self.folder / "temporary"),
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            **(self.server.variables(f"faults/{self.folder.name}") if self.server and moved else {}),
        }

    def asked(self, dag: str = "nightly", run_id: str = "", day: date | None = None, **options: object) -> Asked:
        """A run here, of the last day; what is put back is the night before."""
        day = day or (FIRST if dag == "republish" else LAST_DAY)
        called = "nightly" if dag == "approval" else dag
        return Asked(run_id or f"{called} of {day}", day, dag, self.names, dict(options))

    def do(
        self, asked: Asked, step: str, point: Point | None = None, others: Mapping[str, str] = MappingProxyType({})
    ) -> Ended:
        """Have a process do a step of a run, which may find other things in its environment than are here."""
        return run(do, asked, step, environment={**self.environment, **others}, point=point, prepare=self.prepare)

    def go(self, asked: Asked, first: str | None = None, last: str | None = None) -> None:
        """Have processes do a run's steps, undisturbed, from one to another.

        Raises:
            Failed: when one fails.
        """
        steps = asked.steps
        chosen = steps[steps.index(first) if first else 0 : steps.index(last) + 1 if last else None]
        for step in chosen:
            must_end(self.do(asked, step), f"{asked.dag}, {step}")

    def look(self) -> State:
        """What there is."""
        tables = [table.qualified_name for dag in ("nightly", "features") for table in self.asked(dag).tables]
        ended = run(look, tables, environment=self.environment)
        must_end(ended, "looking")
        state: State = ended.value
        return state

    def left(self) -> list[str]:
        """What a process that died has left in the lake."""
        ended = run(left, environment=self.environment)
        must_end(ended, "looking")
        found: list[str] = ended.value
        return found

    @contextmanager
    def copied(self, folder: Path) -> Iterator[Place]:
        """A copy in a folder that is not there yet, until the block ends."""
        with _COPYING:
            shop, warehouse = patiently(self.shop.copy), patiently(self.warehouse.copy)
        copy = Place(shop, warehouse, folder, self.names, server=self.server)
        try:
            (folder / "temporary").mkdir(parents=True)
            self._copy_lake(copy)
            yield copy
        finally:
            shop.drop()
            warehouse.drop()
            shutil.rmtree(folder, ignore_errors=True)

    def _copy_lake(self, copy: Place) -> None:
        if self.server and not self.lake.exists():
            self.server.copy(f"faults/{self.folder.name}", f"faults/{copy.folder.name}")
            store, file = self.server.bucket("faults"), f"{copy.folder.name}/{FILE}"
            said = json.loads(bytes(store.get(file).bytes()))
            store.put(file, json.dumps(said | {"identity": None}).encode())
            return
        shutil.copytree(self.lake, copy.lake, dirs_exist_ok=True)
        of_a_copied_shop(copy.lake)
        if self.server:
            self.server.upload(copy.lake, f"faults/{copy.folder.name}")
            shutil.rmtree(copy.lake)

    @contextmanager
    def with_nothing(self, folder: Path) -> Iterator[Place]:
        """A copy of the shop beside an empty warehouse and no lake, until the block ends."""
        with _COPYING:
            shop = patiently(self.shop.copy)
            warehouse = Database(self.shop.cluster, "warehouse").copy()
        try:
            (folder / "temporary").mkdir(parents=True)
            yield Place(shop, warehouse, folder, self.names, server=self.server)
        finally:
            shop.drop()
            warehouse.drop()
            shutil.rmtree(folder, ignore_errors=True)


class Failed(RuntimeError):
    """A step that nothing disturbed failed."""


def must_end(ended: Ended, what: str) -> None:
    """Refuse anything but success.

    Raises:
        Failed: with what the process said.
    """
    if ended.code:
        raise Failed(f"{what}: {ended.error or f'ended with {ended.code}'}")


@contextmanager
def prepared(cluster: Cluster, folder: Path, names: tuple[str, ...] = NAMES) -> Iterator[Place]:
    """A published night and the day after it; nothing is played here, only in copies."""
    with _COPYING:
        place = Place(Database(cluster, "shop").copy(), Database(cluster, "warehouse").copy(), folder, names)
    try:
        (folder / "temporary").mkdir(parents=True)
        with psycopg.connect(place.shop.url("shopkeeper")) as shop:
            create_schema(shop)
            fill_history(shop, last_day=LAST_DAY, seed=11, size=SIZE)
            plant(shop, ["nan_price", "total_mismatch", "refund_exceeds_line"])
        place.go(place.asked(day=FIRST))
        place.go(place.asked("features", day=FIRST))
        with psycopg.connect(place.shop.url("shopkeeper")) as shop:
            unplant(shop)
            open_notebook(shop)
            for table, name in _REFERENCES:
                drop_constraint(shop, table, name)
            shop.execute(_DAY.encode())
            plant(shop, ["cancelled_without_reason", "malformed_email", "reserved_exceeds_on_hand"])
        yield place
    finally:
        place.shop.drop()
        place.warehouse.drop()
