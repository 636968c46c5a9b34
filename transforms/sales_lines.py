"""Sales and returns as dated rows: a sale counts on the day of the line, what came back on the day it did.

A line is sold with its order, or on the day on which it was added to it. What is taken out of an order is a return on
that day, as in Shopify, whose action RETURN is "a removal or return"
(https://shopify.dev/docs/api/admin-graphql/latest/enums/SaleActionType). An order that is cancelled is void, a sale of
no day; or, in a shop whose shop.toml says so, a sale of its day that comes back whole on the day of its cancelling, as
in Shopify: what was left of its lines, shipping and tax. What the shop does not date by line follows
the order on its own day: tax, shipping, and the order's discount, which the lines that are in it share. Every table
with sales by day sums these rows, so the tables agree to the cent.
"""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw

from transforms.arithmetic import ZERO
from transforms.engines import Frame

_OF_LINE = ["order_item_id", "order_id", "customer_id", "product_id", "warehouse_id", "currency", "unit_cost_cents"]
_GIVEN_BACK = ["day", "refunded_units", "units_before", "returns_cents", "tax_refunds_cents", "returned_on"]
_GIVEN_BACK += ["restocked"]


def counted_orders(reporting_orders: Frame) -> Frame:
    """The orders that are sales: those that are not void.

    Args:
        reporting_orders: ``reporting.orders``.
    """
    return reporting_orders.filter(nw.col("voided_on").is_null())


def returned_orders(reporting_orders: Frame) -> Frame:
    """The orders that came back by being cancelled, with ``day``, the day of that.

    Args:
        reporting_orders: ``reporting.orders``.
    """
    cancelled = counted_orders(reporting_orders).filter(~nw.col("cancelled_on").is_null())
    return cancelled.with_columns(day=nw.col("cancelled_on"))


def before_cancelling(given_back: Frame) -> Frame:
    """Refunds less those after the day on which their order came back whole: these are in that already.

    Args:
        given_back: rows with ``refunded_on``, and their order's ``cancelled_on`` and ``is_void``.
    """
    after = (nw.col("refunded_on") > nw.col("cancelled_on")) & ~nw.col("is_void")
    return given_back.filter(~after.fill_null(False))


def sold_lines(order_lines: Frame) -> Frame:
    """The lines of orders that are not void, with ``day``, the day they were sold; also those taken out since.

    Args:
        order_lines: ``reporting.order_lines``.
    """
    return order_lines.filter(~nw.col("is_void")).with_columns(day=nw.col("sold_on"))


def kept_lines(order_lines: Frame) -> Frame:
    """The lines that are in orders which are not void, with ``day``, the day they were sold.

    Args:
        order_lines: ``reporting.order_lines``.
    """
    return sold_lines(order_lines).filter(nw.col("removed_on").is_null())


def refunded_lines(refunds: Frame, order_lines: Frame) -> Frame:
    """One row per refund of a line that was kept, and one per line that came back by its order's cancelling.

    Of such a line comes back what was left of it: the units that were not refunded, and their money. They count as
    restocked; the tax of an order is not its lines'.

    Columns: ``day`` of the refund or the cancelling, ``returned_on`` (null when the units did not come back), the
    line's keys, currency and ``unit_cost_cents`` (null when unknown), ``refunded_units``, ``returns_cents``,
    ``tax_refunds_cents`` (0 when unknown), ``restocked``, and ``units_before``, refunded of the line before.

    Args:
        refunds: the source.
        order_lines: ``reporting.order_lines``.
    """
    given_back = refunds.select(
        "order_item_id",
        "refunded_on",
        refunded_units=nw.col("quantity"),
        returns_cents=nw.col("amount_cents"),
        tax_refunds_cents=nw.col("tax_cents").fill_null(0),
        returned_on=nw.col("returned_on"),
        restocked=nw.col("restocked"),
        units_before=nw.col("units_before").fill_null(0),
    )
    kept = kept_lines(order_lines)
    rows = given_back.join(kept.select(*_OF_LINE, "cancelled_on", "is_void"), on="order_item_id", how="inner")
    refunded = before_cancelling(rows).with_columns(day=nw.col("refunded_on")).select(*_OF_LINE, *_GIVEN_BACK)
    cancelled = kept.filter(~nw.col("cancelled_on").is_null()).select(
        *_OF_LINE,
        day=nw.col("cancelled_on"),
        refunded_units=nw.col("cancelled_quantity"),
        returns_cents=nw.col("cancelled_returns_cents"),
        tax_refunds_cents=ZERO,
        returned_on=_never("removed_on"),
        restocked=nw.lit(True),
        units_before=nw.col("quantity") - nw.col("cancelled_quantity"),
    )
    # A line that was refunded before leaves nothing to come back.
    cancelled = cancelled.filter((nw.col("refunded_units") > 0) | (nw.col("returns_cents") > 0))
    return nw.concat([refunded, cancelled.select(*_OF_LINE, *_GIVEN_BACK)])


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
        returned_on=_never("removed_on"),
        restocked=nw.lit(True),
        units_before=ZERO,
    )
    columns = refunded.collect_schema().names()
    return nw.concat([refunded, removed.select(columns)])


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


def _never(day: str) -> nw.Expr:
    """A null day; not every engine has one as a literal, so it is that of a column where that is null."""
    return nw.when(nw.col(day).is_null()).then(nw.col(day))
