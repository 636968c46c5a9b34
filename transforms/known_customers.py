"""Orders whose customer is known. A guest's order names none: it counts as an order, and as no customer.

Every table about customers takes its rows through here: engines differ in what they do with a null key (pandas joins
null to null, the others do not).
"""

from __future__ import annotations

import narwhals as nw

from transforms.engines import Frame


def of_known_customers(rows: Frame) -> Frame:
    """The rows that name a customer.

    Args:
        rows: orders, lines or refunds, with ``customer_id``; null for a guest.
    """
    return rows.filter(~nw.col("customer_id").is_null())
