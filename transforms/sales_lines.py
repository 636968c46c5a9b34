"""Sales and returns as dated rows: a sale counts on the day of the line, what came back on the day it did.

A line is sold with its order, or on the day on which it was added to it. What is taken out of an order is a return on
that day, as in Shopify, whose action RETURN is "a removal or return"
(https://shopify.dev/docs/api/admin-graphql/latest/enums/SaleActionType). What the shop does not date by line follows
the order on its own day: tax, shipping, and the order's discount, which the lines that are in it share. Every table
with sales by day sums these rows, so the tables agree to the cent.
"""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw

from transforms.arithmetic import ZERO
from transforms.engines import Frame

_OF_LINE = ["order_item_id", "order_id", "customer_id", "product_id", "warehouse_id", "currency", "unit_cost_cents"]


def sold_lines(order_lines: Frame) -> Frame:
    """The lines of orders that were not cancelled, with ``day``, the day they were sold; also those taken out since.

    Args:
        order_lines: ``reporting.order_lines``.
    """
    return order_lines.filter(~nw.col("is_cancelled")).with_columns(day=nw.col("sold_on"))


def kept_lines(order_lines: Frame) -> Frame:
    """The lines that are in orders which were not cancelled, with ``day``, the day they were sold.

    Args:
        order_lines: ``reporting.order_lines``.
    """
    return sold_lines(order_lines).filter(nw.col("removed_on").is_null())


def refunded_lines(refunds: Frame, order_lines: Frame) -> Frame:
    """One row per refund of a line that was kept, with ``day``, the day of the refund.

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
    lines = kept_lines(order_lines).select(_OF_LINE)
    return _with_cost(given_back.join(lines, on="order_item_id", how="inner"))


def returned_lines(refunds: Frame, order_lines: Frame) -> Frame:
    """What takes sales back: the rows of ``refunded_lines``, and one per line that was taken out of its order.

    Such a line comes back whole, at what it was sold for, on the day it was taken out. Its units never left, and count
    as restocked. What was refunded of it is in that already, and its tax is no longer in its order's.
    """
    refunded = refunded_lines(refunds, order_lines)
    removed = sold_lines(order_lines).filter(~nw.col("removed_on").is_null())
    removed = removed.select(
        *_OF_LINE,
        day=nw.col("removed_on"),
        refunded_units=nw.col("quantity"),
        returns_cents=nw.col("gross_sales_cents") - nw.col("discount_allocated_cents"),
        tax_refunds_cents=ZERO,
        # Never: a null of the column's type, which not every engine has as a literal.
        returned_on=nw.when(nw.col("removed_on").is_null()).then(nw.col("removed_on")),
        restocked=nw.lit(True),
    )
    columns = refunded.collect_schema().names()
    return nw.concat([refunded, _with_cost(removed).select(columns)])


def summed_refunds(order_refunds: Frame, by: Sequence[str]) -> Frame:
    """What was given back that no line explains, added up: ``other_refunds_cents`` and those of shipping and tax.

    Args:
        order_refunds: rows of the source, with the columns in ``by``.
        by: the columns that make a group.
    """
    return order_refunds.group_by(by).agg(
        nw.col("amount_cents").sum().alias("other_refunds_cents"),
        nw.col("shipping_cents").sum().alias("shipping_refunds_cents"),
        nw.col("tax_cents").sum().alias("tax_refunds_cents"),
    )


def _with_cost(returned: Frame) -> Frame:
    """Add what the units had cost, in place of what one had."""
    cost = nw.col("refunded_units") * nw.col("unit_cost_cents")
    return returned.with_columns(returned_cost_cents=cost).drop("unit_cost_cents")
