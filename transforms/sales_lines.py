"""Sales and returns as dated rows: a sale counts on the day of the order, a refund on the day it was given.

Every table with sales by day sums these rows, so the tables agree to the cent.
"""

from __future__ import annotations

import narwhals as nw

from transforms.engines import Frame


def sold_lines(order_lines: Frame) -> Frame:
    """The lines of orders that were not cancelled, with ``day``, the day of the order.

    Args:
        order_lines: ``reporting.order_lines``.
    """
    return order_lines.filter(~nw.col("is_cancelled")).with_columns(day=nw.col("ordered_on"))


def refunded_lines(refunds: Frame, order_lines: Frame) -> Frame:
    """One row per refund of an order that was not cancelled, with ``day``, the day of the refund.

    Columns: ``day``, ``returned_on`` (null when the units did not come back), the line's keys and currency,
    ``refunded_units``, ``returns_cents``, ``tax_refunds_cents`` (0 when unknown), ``restocked`` and
    ``returned_cost_cents`` (null when the line's cost is unknown).

    Args:
        refunds: the source.
        order_lines: ``reporting.order_lines``.
    """
    given_back = refunds.select(
        "order_item_id",
        day=nw.col("refunded_on"),
        refunded_units=nw.col("quantity"),
        returns_cents=nw.col("amount_cents"),
        tax_refunds_cents=nw.col("tax_cents").fill_null(0),
        returned_on=nw.col("returned_on"),
        restocked=nw.col("restocked"),
    )
    lines = order_lines.filter(~nw.col("is_cancelled")).select(
        "order_item_id",
        "order_id",
        "customer_id",
        "product_id",
        "warehouse_id",
        "currency",
        "unit_cost_cents",
    )
    return (
        given_back.join(lines, on="order_item_id", how="inner")
        .with_columns(returned_cost_cents=nw.col("refunded_units") * nw.col("unit_cost_cents"))
        .drop("unit_cost_cents")
    )
