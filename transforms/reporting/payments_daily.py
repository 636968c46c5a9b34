"""``reporting.payments_daily``: what was paid per day, currency and method: captured, paid back, put on gift cards.

Net payments = captured − refunded − issued, as payments are counted in Shopify's finance reports, with gift cards as a
method like any other: one that is sold is no sale but money put on it (issued), one that is redeemed is a payment
(captured). So what customers still hold on gift cards is issued + refunded − captured over all days of the method
gift_card, where the shop records what it issues. ``receivables_daily`` ties these rows to sales.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import between
from transforms.arithmetic import ZERO, flag
from transforms.engines import Frame

_KEY = ["day", "currency", "method"]
_AMOUNTS = {"captured_cents": "capture", "refunded_cents": "refund", "issued_cents": "issue"}

TABLE = Table(
    schema="reporting",
    name="payments_daily",
    grain="One row per business day, currency and method by which money moved.",
    doc="A day on which no money moved has no row. Money counts on the day it moved, whatever became of its order; the "
    "payments of an order in quarantine are held with it.",
    columns=(
        Column("day", Type.DAY, "The business day."),
        Column("currency", Type.TEXT, "ISO 4217 code of every amount of the row."),
        Column("method", Type.TEXT, "card, gift_card, …, as the shop says; unknown where it does not."),
        Column("payments", Type.INTEGER, "Captures of that day."),
        Column("refunds", Type.INTEGER, "Refunds of that day."),
        Column("captured", Type.CENTS, "Money that came in, or was taken off gift cards and credits, with tax."),
        Column("refunded", Type.CENTS, "Money that went back, with tax."),
        Column("issued", Type.CENTS, "Money put on gift cards and credits that customers bought."),
        Column("net_payments", Type.CENTS, "captured − refunded − issued."),
    ),
    primary_key=("day", "currency", "method"),
    rebuild=Rebuild.by("day", payments="paid_on"),
    rules=tuple(
        between(name, f"{name}_not_negative", f"{name} is not negative.", least=0, severity=Severity.STOP)
        for name in ("payments", "refunds", *_AMOUNTS)
    ),
)


def build(payments: Frame) -> Frame:
    """Add up the movements of each kind."""
    return (
        payments.with_columns(
            *(
                nw.when(nw.col("kind") == kind).then(nw.col("amount_cents")).otherwise(ZERO).alias(name)
                for name, kind in _AMOUNTS.items()
            ),
            day=nw.col("paid_on"),
            method=nw.col("method").fill_null("unknown"),
            payments=flag(nw.col("kind") == "capture"),
            refunds=flag(nw.col("kind") == "refund"),
        )
        .group_by(_KEY)
        .agg(nw.col("payments", "refunds", *_AMOUNTS).sum())
        .with_columns(net_payments_cents=nw.col("captured_cents") - nw.col("refunded_cents") - nw.col("issued_cents"))
    )
