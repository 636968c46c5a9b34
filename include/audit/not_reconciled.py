"""The reporting tables that no balance reads, each with the reason: whoever adds a table decides.

A table stands here or in a balance (``sales``, ``payments``, ``stock``), never in both;
``tests/test_nothing_left_out.py`` checks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NOT_RECONCILED: Final[Mapping[str, str]] = {
    "products": "It sums daily_product_sales by product, over all days; daily_product_sales itself is reconciled.",
    "products_history": "It has a row for every version of a product; nothing in it is added up.",
    "kit_components_history": "It has a row for every version of a kit's component; nothing in it is added up.",
    "kit_availability": "It divides the shelves of inventory_daily, which are reconciled, on one day.",
    "component_demand_daily": "It multiplies units of daily_product_sales, which is reconciled, by what is in a kit.",
    "product_abc_xyz": "It ranks products; a class is not an amount that could be lost.",
    "inventory_health": "It measures the shelves of inventory_daily, which are reconciled, on one day.",
    "stockouts": "It names the empty days of inventory_daily, which are reconciled; lost sales are an estimate.",
    "fulfilment_daily": "It counts an order once per warehouse, so it does not add up to the orders of a day.",
    "shipments_daily": "It counts shipments on their days; what orders sold and what left the shelves is reconciled.",
    "warehouses_history": "It has a row for every version of a warehouse; nothing in it is added up.",
    "customers": "It sums orders by customer, over all days; orders itself is reconciled.",
    "customers_history": "It has a row for every version of a customer; nothing in it is added up.",
    "customer_rfm": "It scores customers; a score is not an amount that could be lost.",
    "customer_cohorts": "It sums orders by the customer's first month and its currency only; orders is reconciled.",
}
