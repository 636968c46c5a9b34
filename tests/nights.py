"""A night and its features without Airflow: the same steps, in the order of the DAGs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from include.contract import Table
from include.demo_shop.constraints import drop_constraint, open_notebook
from include.ledger import approvals, runs
from include.ledger.runs import Run
from include.pipeline import nightly, replay, table_build, tables_dag
from include.pipeline.one_shop import FILE
from include.settings import settings
from include.sources import shop_sources
from transforms.build import build
from transforms.registry import TABLES, buildable

LAST_DAY = date(2026, 3, 31)

# Enough for what holds of any table: by line, order and day, rebuilt in part; and by slice.
FEW = ("order_lines", "orders", "daily_sales", "customer_activity")
# One of every kind: also by shelf and customer, and built whole. A night takes half as long again; all tables, thrice.
SOME = (
    "order_lines", "orders", "daily_sales", "daily_sales_by", "daily_product_sales", "refunds_daily", "discounts",
    "payments_daily", "receivables_daily", "inventory_daily", "incoming_stock", "customers", "customer_activity",
)  # fmt: skip

# What a line of the demo shop comes to without tax, before its discount; some prices are with tax.
GROSS = "quantity * unit_price / case when price_includes_tax then 1.1 else 1 end"

# What the demo shop's shop.toml says, for one that says more.
SHOP_TOML = "[money]\ndecimals = 3\n"

# Yen without tax in their prices, and dinars ten times as many, are euros.
EUROS = """
alter table order_items drop constraint order_items_discount_check;
update order_items set unit_price = unit_price / 1.1, discount = discount / 1.1, price_includes_tax = false
where price_includes_tax;
update order_items set
    unit_price = unit_price * 10, unit_cost = unit_cost * 10, discount = order_items.discount * 10
from orders where orders.order_id = order_items.order_id and currency = 'KWD';
update refunds set amount = refunds.amount * 10, tax = refunds.tax * 10
from order_items join orders using (order_id)
where order_items.order_item_id = refunds.order_item_id and currency = 'KWD';
update order_refunds set amount = amount * 10, shipping = shipping * 10, tax = tax * 10 where currency = 'KWD';
update payments set amount = amount * 10 where currency = 'KWD';
update orders set
    subtotal = subtotal * 10, discount = discount * 10, shipping = shipping * 10,
    shipping_discount = shipping_discount * 10, tax = tax * 10, shipping_tax = shipping_tax * 10, total = total * 10
where currency = 'KWD';
update orders set currency = 'EUR' where currency in ('JPY', 'KWD');
update order_refunds set currency = 'EUR' where currency in ('JPY', 'KWD');
update payments set currency = 'EUR' where currency in ('JPY', 'KWD');
"""

_numbers = itertools.count(1)


def of_a_copied_shop(lake: Path) -> None:
    """Have a copied lake read from a copy of its shop's database, which would be another shop's."""
    file = lake / FILE
    if file.exists():
        file.write_text(json.dumps(json.loads(file.read_text()) | {"identity": None}))


@dataclass(frozen=True)
class Nights:
    """A shop, a warehouse, and what happens between them.

    Attributes:
        shop: a connection as the shopkeeper.
        warehouse: a connection as the loader.
        names: the tables that are built; every night the same ones.
        approves: whether an operator approves whatever a night asks.
    """

    shop: psycopg.Connection[Any]
    warehouse: psycopg.Connection[Any]
    names: Collection[str] = FEW
    approves: bool = False

    def run(self, day: date = LAST_DAY, **asked: Any) -> str:
        """Run one night and its features as the DAGs do; ``engine``, ``full_refresh``, ``dry_run`` as in the form."""
        run_id = self.report(day, **asked)
        if not asked.get("dry_run"):
            self.feature(day, engine=asked.get("engine", "auto"), parity=asked.get("parity"))
        return run_id

    def report(self, day: date = LAST_DAY, **asked: Any) -> str:
        """Run one night as the DAG ``nightly`` does."""
        run_id = self.begin(day, **asked)
        nightly.extract(run_id)
        self.judge_and_build(run_id)
        nightly.publish(run_id, self.reporting)
        runs.finish_run(run_id, "success")
        return run_id

    def feature(self, day: date | None = LAST_DAY, **conf: Any) -> str:
        """Run a day's features as the DAG ``features`` does when the assets of that day are published."""
        run_id = self.begin_features(day, **conf)
        self.build(run_id, self.features)
        tables_dag.publish(run_id, self.features)
        runs.finish_run(run_id, "success")
        return run_id

    def begin_features(self, day: date | None = LAST_DAY, **conf: Any) -> str:
        """Enter a run of features."""
        run_id = f"test-features-{next(_numbers)}"
        tables_dag.begin(run_id, day.isoformat() if day else None, conf, dag="features", tables=self.features)
        return run_id

    def begin(self, day: date = LAST_DAY, **asked: Any) -> str:
        """Enter a run."""
        return self.begin_again(f"test-{next(_numbers)}", day, **asked)

    def begin_again(self, run_id: str, day: date, **asked: Any) -> str:
        """Enter a run once more, as when its first task is cleared."""
        nightly.begin(Run(run_id, day, day, **asked), self._known())
        return run_id

    def replay(self, **conf: Any) -> str:
        """Judge the quarantine again as the DAG ``replay`` does; ``engine``, ``dry_run`` as in the form."""
        run_id = self.begin_replay(**conf)
        self.judge(run_id)
        if replay.sift(run_id):
            self.accept_and_build(run_id)
            nightly.publish(run_id, self.reporting)
        runs.finish_run(run_id, "success")
        return run_id

    def begin_replay(self, **conf: Any) -> str:
        """Enter a replay."""
        run_id = f"test-replay-{next(_numbers)}"
        replay.begin(run_id, conf, self._known())
        return run_id

    @staticmethod
    def _known() -> list[tuple[Table, Iterable[str], str | None]]:
        """Every table there is, as the ledger knows it."""
        left_out = buildable(shop_sources(settings().sources)).left_out
        return [(one.table, one.sources, left_out.get(name)) for name, one in TABLES.items()]

    def judge_and_build(self, run_id: str) -> None:
        """Everything of a night between extraction and publishing."""
        self.judge(run_id)
        self.accept_and_build(run_id)

    @staticmethod
    def judge(run_id: str) -> None:
        """Judge the rows of every source."""
        for name in shop_sources(settings().sources):
            nightly.validate(run_id, name)

    def accept_and_build(self, run_id: str) -> None:
        """Everything between the gate and publishing."""
        if nightly.check_tolerance(run_id) and self.approves:
            approvals.record_answer(run_id, approvals.Answer.APPROVED, "ada")
        nightly.accept(run_id)
        self.build(run_id, self.reporting)

    @staticmethod
    def build(run_id: str, tables: Sequence[Table]) -> None:
        """Build and audit tables."""
        for table in tables:
            one = TABLES[table.name]
            table_build.build(run_id, table, one.layers, one.sources, build, one.code)
        nightly.audit(run_id, tables)

    @property
    def reporting(self) -> list[Table]:
        """Those of ``names`` that are reporting tables and that this shop allows."""
        return self._allowed("reporting")

    @property
    def features(self) -> list[Table]:
        """Those that are feature sets or labels."""
        return self._allowed("features")

    @property
    def tables(self) -> list[Table]:
        """All of them."""
        return [*self.reporting, *self.features]

    def _allowed(self, schema: str) -> list[Table]:
        allowed = buildable(shop_sources(settings().sources)).of(schema)
        return [TABLES[name].table for name in allowed if name in self.names]

    def set_aside(self, *constraints: tuple[str, str]) -> None:
        """Take keys of the shop's tables away, (table, constraint) each, so that every night knows it is meant."""
        open_notebook(self.shop)
        for table, name in constraints:
            drop_constraint(self.shop, table, name)

    def ask(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query on the warehouse."""
        return self.warehouse.execute(statement.encode(), parameters).fetchall()

    def published(self) -> dict[str, str]:
        """A digest of every published table: all its rows and columns but the publication and its time."""
        return {
            table.qualified_name: self.ask(
                f"select md5(string_agg(line, chr(10) order by line)) from (select (to_jsonb(live)"
                f" - '_publication_id' - 'known_at')::text as line from {table.qualified_name} as live) as lines"
            )[0][0]
            for table in self.tables
        }
