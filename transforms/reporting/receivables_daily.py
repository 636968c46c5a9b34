"""``reporting.receivables_daily``: the money of every day beside its sales, and what customers owe in the end.

Accounts receivable in its plain form: what was sold so far less what was paid for it so far. An order is a sale on its
day and a payment counts on its own, so the difference of one day says little (an invoice is paid weeks later); their
running sum, ``receivable``, says what is open: orders that are not paid yet, less what was paid too much or for no
order that is known. In a shop that captures at once and records every payment it is 0.

What stays in it and is no customer's debt: tax, shipping and goodwill that were paid back, where the shop does not
record them as refunds, since ``daily_sales`` takes them off no sale then; and the orders of before the shop began to
record payments.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import between
from transforms.arithmetic import ZERO
from transforms.engines import Frame, by_key
from transforms.sales_lines import counted_orders, returned_orders

_KEY = ["day", "currency"]
_PAID = ["captured_cents", "refunded_cents", "issued_cents"]
_ADDED_UP = ["total_sales_cents", "rounding_cents", *_PAID]

TABLE = Table(
    schema="reporting",
    name="receivables_daily",
    grain="One row per business day and currency, from the currency's first order or refund of no line through the "
    "data-through date, and per earlier day on which money moved.",
    doc="A currency in which no money ever moved has no row: the shop records no payments. A void order is no sale, "
    "also not on the days before, so money that was paid for it and not paid back makes receivable lower. One that "
    "comes back by its cancelling does so from that day on.",
    columns=(
        Column("day", Type.DAY, "The business day."),
        Column("currency", Type.TEXT, "ISO 4217 code of every amount of the row."),
        Column("total_sales", Type.CENTS, "As in daily_sales: sales, shipping and tax, less what was given back."),
        Column(
            "rounding",
            Type.CENTS,
            "Σ rounding of the day's orders, less that of those that come back whole: what is to be paid beside "
            "total_sales.",
        ),
        Column("captured", Type.CENTS, "As in payments_daily, over all methods."),
        Column("refunded", Type.CENTS, "As in payments_daily, over all methods."),
        Column("issued", Type.CENTS, "As in payments_daily, over all methods."),
        Column(
            "difference",
            Type.CENTS,
            "total_sales + rounding − captured + refunded + issued: what the day's sales are more than its money.",
        ),
        Column(
            "receivable",
            Type.CENTS,
            "Σ difference up to this day: what customers owe when it ends; negative when they paid more.",
        ),
    ),
    primary_key=("day", "currency"),
    rebuild=Rebuild.full(),
    rules=tuple(
        between(name, f"{name}_not_negative", f"{name} is not negative.", least=0, severity=Severity.STOP)
        for name in _PAID
    ),
)


def build(daily_sales: Frame, reporting_orders: Frame, payments_daily: Frame) -> Frame:
    """Stack sales, the rounding of orders and payments, add them up by day, and sum them from the first day on."""
    nothing = dict.fromkeys(_ADDED_UP, ZERO)
    kept = counted_orders(reporting_orders).with_columns(day=nw.col("ordered_on"))
    back = returned_orders(reporting_orders).with_columns(rounding_cents=-nw.col("rounding_cents"))
    stacked = nw.concat(
        [
            daily_sales.select(*_KEY, **(nothing | {"total_sales_cents": nw.col("total_sales_cents")})),
            *(
                orders.select(*_KEY, **(nothing | {"rounding_cents": nw.col("rounding_cents")}))
                for orders in (kept, back)
            ),
            payments_daily.select(*_KEY, **(nothing | {name: nw.col(name) for name in _PAID})),
        ]
    )
    paid_in = payments_daily.group_by("currency").agg(nw.len().alias("rows")).select("currency")
    days = stacked.group_by(_KEY).agg(nw.col(*_ADDED_UP).sum()).join(paid_in, on="currency", how="inner")
    rows = days.with_columns(
        difference_cents=nw.col("total_sales_cents")
        + nw.col("rounding_cents")
        - nw.col("captured_cents")
        + nw.col("refunded_cents")
        + nw.col("issued_cents")
    )
    return by_key(rows, ["currency"], _sum_up).select(column.lake_name for column in TABLE.columns)


def _sum_up(rows: Frame) -> Frame:
    """The receivable after each day."""
    return rows.with_columns(receivable_cents=nw.col("difference_cents").cum_sum().over("currency", order_by="day"))
