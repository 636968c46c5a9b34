"""``reporting.customer_rfm``: how recently, how often and for how much each customer bought, as quintiles.

Scores follow the usual RFM analysis: customers in order of one measure, cut into five parts of equal size, 5 the best
(Hughes, Strategic Database Marketing). In the order of a measure, the worst first and of equals the smaller customer_id
first, the customer in place p of n gets the score ⌊5·(p − 1) / n⌋ + 1: parts differ by one customer at most, and are
the same on every engine. Money is ranked among the customers of one currency: amounts of different ones cannot be
compared.

Segments are cells of recency × frequency, as in https://guillaume-martin.github.io/rfm-segmentation-with-python.html:
the whole grid has ten names.
"""

from __future__ import annotations

from typing import Final

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import between, one_of
from include.contract.table import key
from transforms.arithmetic import ONE, numbered, quotient
from transforms.engines import Frame, by_key

_PARTS = 5
_SCORE = (
    "⌊5·(p − 1) / n⌋ + 1, 1 to 5, for place p of n in the order of {}; of equals the smaller customer_id comes first."
)

# Each name's recency and frequency scores; together they cover the grid once.
SEGMENTS: Final = {
    "champions": ((5,), (4, 5)),
    "loyal": ((3, 4), (4, 5)),
    "potential_loyal": ((4, 5), (2, 3)),
    "new": ((5,), (1,)),
    "promising": ((4,), (1,)),
    "need_attention": ((3,), (3,)),
    "about_to_sleep": ((3,), (1, 2)),
    "at_risk": ((1, 2), (3, 4)),
    "cannot_lose": ((1, 2), (5,)),
    "hibernating": ((1, 2), (1, 2)),
}

TABLE = Table(
    schema="reporting",
    name="customer_rfm",
    grain="One row per night and customer with an order.",
    doc="Void orders and guests' do not count. Every measure is of all orders up to the night. With fewer than "
    "five customers some scores are not given.",
    columns=(
        Column("night", Type.DAY, "The business day; the row is as of its end."),
        key("customers", "customer_id", "The customer."),
        Column("currency", Type.TEXT, "ISO 4217 code of monetary: that of most of the customer's orders."),
        Column("recency_days", Type.INTEGER, "Days since the last order."),
        Column("frequency", Type.INTEGER, "Number of orders."),
        Column("monetary", Type.CENTS, "Net sales of the orders in currency."),
        Column("recency_score", Type.INTEGER, _SCORE.format("recency_days, the most first")),
        Column("frequency_score", Type.INTEGER, _SCORE.format("frequency, the least first")),
        Column(
            "monetary_score",
            Type.INTEGER,
            _SCORE.format("monetary, the least first, among the customers of its currency"),
        ),
        Column("segment", Type.TEXT, f"By recency_score and frequency_score: {', '.join(SEGMENTS)}."),
    ),
    primary_key=("night", "customer_id"),
    rebuild=Rebuild.as_of("night"),
    rules=(
        *(
            between(name, f"{name}_in_range", "A score is 1 to 5.", least=1, most=_PARTS, severity=Severity.STOP)
            for name in ("recency_score", "frequency_score", "monetary_score")
        ),
        between(
            "recency_days", "recency_not_negative", "No order is after the night.", least=0, severity=Severity.STOP
        ),
        between(
            "frequency", "frequency_positive", "Every customer here has an order.", least=1, severity=Severity.STOP
        ),
        one_of("segment", "segment_known", "A segment is one of the ten.", list(SEGMENTS), severity=Severity.STOP),
    ),
)


def build(reporting_customers: Frame, as_of: int) -> Frame:
    """Every customer with an order, ranked by each measure."""
    rows = reporting_customers.filter(nw.col("lifetime_orders") > 0).select(
        "customer_id",
        "currency",
        night=nw.lit(as_of, dtype=nw.Int64),
        recency_days=nw.col("days_since_last_order"),
        recency=-nw.col("days_since_last_order"),
        frequency=nw.col("lifetime_orders"),
        monetary_cents=nw.col("lifetime_net_sales_cents"),
        one=ONE,
    )
    rows = by_key(rows, ["night"], lambda all_rows: _scored(all_rows, "recency_score", ["night"], "recency"))
    rows = by_key(rows, ["night"], lambda all_rows: _scored(all_rows, "frequency_score", ["night"], "frequency"))
    of_currency = ["night", "currency"]
    rows = by_key(rows, of_currency, lambda part: _scored(part, "monetary_score", of_currency, "monetary_cents"))
    return rows.with_columns(segment=_segment()).select(column.lake_name for column in TABLE.columns)


def _scored(rows: Frame, name: str, key: list[str], measure: str) -> Frame:
    """Cut each key's rows into five parts of equal size by a measure, the smallest first."""
    count = nw.col("one").sum().over(key)
    placed = numbered(rows, "place", key, [measure, "customer_id"]).with_columns(count=count)
    part = quotient((nw.col("place") - 1) * _PARTS, nw.col("count")) + 1
    return placed.with_columns(part.alias(name)).drop("place", "count")


def _segment() -> nw.Expr:
    """The name of a row's cell."""
    named = nw.lit(None, dtype=nw.String)
    for name, (recency, frequency) in SEGMENTS.items():
        is_here = nw.col("recency_score").is_in(recency) & nw.col("frequency_score").is_in(frequency)
        named = nw.when(is_here).then(nw.lit(name)).otherwise(named)
    return named
