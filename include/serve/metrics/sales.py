"""What was sold and came back, by day and currency: each with what such a weekday usually brings."""

from __future__ import annotations

from typing import Final, LiteralString

from include.contract import Column, Type
from include.serve.metrics.definition import IN_CURRENCY, Metric, Parameter

_DAY_AND_CURRENCY: Final = "One row per business day and currency, from the currency's first; by day and currency."
_WEEKS: Final = Column(
    "weeks", Type.INTEGER, "Of how many earlier weekdays weekday_median is: fewer than 8 in a currency's first weeks."
)

_DAILY: Final = """
with asked as (
    select day, currency, <columns>
    from reporting.daily_sales
    where day between {first} and {last}{of_currency}
),

-- The same weekday of the eight weeks before, as far as the currency had begun.
earlier as (
    select
        asked.day,
        asked.currency,
        before.<measure>,
        row_number() over (partition by asked.day, asked.currency order by before.<measure>) as place,
        count(*) over (partition by asked.day, asked.currency) as weeks
    from asked
    cross join generate_series(1, 8) as week (ago)
    join reporting.daily_sales as before
        on before.day = asked.day - 7 * week.ago and before.currency = asked.currency
    where before.<measure> is not null
),

-- The one in the middle, or halfway between the two.
middle as (
    select day, currency, weeks, <median> as weekday_median
    from earlier
    where place in ((weeks + 1) / 2, weeks / 2 + 1)
    group by day, currency, weeks
)

select day, currency, <columns>, weekday_median, coalesce(weeks, 0) as weeks
from asked
left join middle using (day, currency)
order by day, currency
"""
_EXACT: Final = "round(avg(<measure>), max(scale(<measure>)))"  # an amount has the decimals of the shop's amounts


def _daily(
    name: LiteralString,
    meaning: str,
    unit: str,
    more: tuple[LiteralString, ...] = (),
    median: LiteralString = "avg(<measure>)",
) -> Metric:
    """A column of ``reporting.daily_sales``, and others beside it."""
    columns = (name, *more)
    kind = Type.CENTS if median is _EXACT else Type.RATIO
    about = (
        f"The median of {name} on the same weekday of the eight weeks before, in the currency; null where it had none."
    )
    return Metric(
        name=name,
        meaning=meaning,
        unit=unit,
        grain=_DAY_AND_CURRENCY,
        tables=("reporting.daily_sales",),
        columns=(
            "daily_sales.day",
            "daily_sales.currency",
            *(f"daily_sales.{column}" for column in columns),
            Column("weekday_median", kind, about, nullable=True),
            _WEEKS,
        ),
        sql=_DAILY.replace("<median>", median).replace("<measure>", name).replace("<columns>", ", ".join(columns)),
        takes=IN_CURRENCY,
    )


SALES: Final = (
    _daily(
        "net_sales",
        "Net sales: gross sales less discounts and less what was given back for goods that day. A day without sales "
        "is 0.",
        "units of the row's currency",
        ("gross_sales", "discounts", "returns"),
        _EXACT,
    ),
    _daily("orders", "Orders placed that are not void.", "orders", ("cancelled_orders", "guest_orders")),
    _daily(
        "average_order_value",
        "What an order of the day comes to: gross sales less discounts, by orders; null on a day without one.",
        "units of the row's currency per order",
        ("orders",),
    ),
    _daily(
        "returns",
        "What was given back for goods, on the day it was; not what was sold that day and came back later.",
        "units of the row's currency",
        ("refunded_units",),
        _EXACT,
    ),
    _daily(
        "new_customers",
        "Customers whose first order, in any currency, is of that day; guests are none.",
        "customers",
        ("returning_customers", "guest_orders"),
    ),
    Metric(
        name="discounts",
        meaning="What was taken off, and its share of gross sales. A day without discounts is 0.",
        unit="units of the row's currency",
        grain=_DAY_AND_CURRENCY,
        tables=("reporting.daily_sales",),
        columns=(
            "daily_sales.day",
            "daily_sales.currency",
            "daily_sales.gross_sales",
            "daily_sales.discounts",
            Column("discount_rate", Type.RATIO, "discounts / gross_sales; null when nothing was sold.", nullable=True),
        ),
        sql="""
select day, currency, gross_sales, discounts, discounts / nullif(gross_sales, 0) as discount_rate
from reporting.daily_sales
where day between {first} and {last}{of_currency}
order by day, currency
""",
        takes=IN_CURRENCY,
    ),
    Metric(
        name="discount_codes",
        meaning="The codes under which most was taken off in these days. An order with two codes counts under both.",
        unit="units of the row's currency",
        grain="One row per currency and code; by currency, the most first.",
        tables=("reporting.discounts",),
        columns=(
            "discounts.currency",
            "discounts.discount_code",
            Column("discounts", Type.CENTS, "Σ discounts under the code."),
            Column("orders", Type.INTEGER, "Σ of the days' orders with a discount under the code."),
            Column("days", Type.INTEGER, "Days on which something was taken off under it."),
        ),
        sql="""
with codes as (
    select currency, discount_code, sum(discounts) as discounts, sum(orders) as orders, count(*) as days
    from reporting.discounts
    where day between {first} and {last}{of_currency}
    group by currency, discount_code
),

ranked as (
    select *, row_number() over (partition by currency order by discounts desc, discount_code) as place
    from codes
)

select currency, discount_code, discounts, orders, days
from ranked
where place <= {limit}
order by currency, place
""",
        takes=IN_CURRENCY | {Parameter.LIMIT},
    ),
)
