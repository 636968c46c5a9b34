"""A warehouse as a night left it, for what is served from it: its figures, and the page that shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg

from tests.conftest import Database, Done
from tests.nights import LAST_DAY
from tests.serve.expected_figures import FIRST

NAMES = (
    "order_lines", "orders", "daily_sales", "daily_product_sales", "discounts", "inventory_daily",
    "component_demand_daily", "inventory_health", "stockouts", "products", "customers", "customer_cohorts",
    "customer_rfm", "fulfilment_daily",
)  # fmt: skip
NIGHT_BEFORE = LAST_DAY - timedelta(days=1)

# What a short past does not have: a night before, unknown costs, a product that can be ordered no longer.
RARE = f"""
insert into reporting.inventory_health
select '{NIGHT_BEFORE}', product_id, warehouse_id, available + 1, units_28d, in_stock_days_28d, velocity,
    days_of_supply, sell_through, turnover, stockout_rate, safety_stock, reorder_point, suggested_order + 1,
    'dead', on_order_units + 1, overdue_units, next_expected_on, _publication_id
from reporting.inventory_health;
insert into reporting.customer_rfm
select '{NIGHT_BEFORE}', customer_id, currency, recency_days + 1, frequency, monetary + 1, recency_score,
    frequency_score, monetary_score, 'loyal', _publication_id
from reporting.customer_rfm;
update reporting.inventory_health set days_of_supply = null where product_id = 5;
update reporting.inventory_health set days_of_supply = 7 where product_id = 6;
update reporting.products set is_active = false where product_id = (
    select product_id from reporting.inventory_health where night = '{LAST_DAY}'
    order by suggested_order desc nulls last, product_id limit 1
);
update reporting.daily_product_sales set gross_margin = null where day = '{LAST_DAY}';
update reporting.stockouts set lost_sales = null, lost_units = null
where started_on >= '{FIRST}' and product_id % 3 = 0;
update reporting.stockouts set currency = null
where started_on >= '{FIRST}' and product_id % 3 = 0 and warehouse_id = 1;
"""


@contextmanager
def published_night(night_done: Callable[[tuple[str, ...]], Done]) -> Iterator[Database]:
    """What a night published, and what is rare."""
    database = night_done(NAMES).warehouse.copy()
    with database.connect("loader") as connection:
        connection.execute(RARE.encode())
    yield database
    database.drop()


def publish_again(connection: psycopg.Connection, table: str) -> None:
    """Another publication of a reporting table, as the first one was.

    Args:
        connection: to the warehouse, as its owner; what else is done in its transaction is published with it.
        table: the table.
    """
    connection.execute(
        """
        with published as (
            insert into audit.publications (run_id, night, horizon, snapshot_at)
            select run_id, night, horizon, now() from audit.publications order by publication_id limit 1
            returning publication_id
        )
        insert into audit.publication_tables
        select publication_id, schema_name, table_name, lake_version + 1, rows, inserted, deleted, complete
        from published, lateral (
            select * from audit.publication_tables as before where table_name = %s
            order by before.publication_id limit 1
        ) as before (old, schema_name, table_name, lake_version, rows, inserted, deleted, complete)
        """,
        [table],
    )
