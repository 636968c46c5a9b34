"""The figures of the dashboard and of the operations page: what each means, and the SQL that it is computed by.

Belongs here: definitions, one per figure. Does not: routes, or what the report of one run shows (``serve.figures``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from include.serve.metrics.customers import CUSTOMERS
from include.serve.metrics.definition import Metric
from include.serve.metrics.nights import NIGHTS
from include.serve.metrics.operations import OPERATIONS
from include.serve.metrics.products import PRODUCTS
from include.serve.metrics.quarantine import QUARANTINE
from include.serve.metrics.sales import SALES
from include.serve.metrics.stock import STOCK

METRICS: Final[Mapping[str, Metric]] = {
    metric.name: metric for metric in (*SALES, *PRODUCTS, *STOCK, *CUSTOMERS, *OPERATIONS, *NIGHTS, *QUARANTINE)
}
