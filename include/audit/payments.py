"""The balances of payments: accepted movements = days by method; sales − payments = receivables."""

from __future__ import annotations

from typing import Final

from include.audit.balance import Balance, Side

_KINDS = {"captured_cents": "capture", "refunded_cents": "refund", "issued_cents": "issue"}
_BY_KIND = {name: f"coalesce(sum(amount_cents) filter (kind = '{kind}'), 0)::bigint" for name, kind in _KINDS.items()}
_SUMS = {name: f"sum({name})" for name in _KINDS}

_MOVED = "(select *, paid_on as day from clean.payments where paid_on <= horizon())"

# What is to be paid of a day's sales, and what was paid on it; only where the shop records payments in the currency.
_DAY = """
(
    select *
    from (
        select day, currency, total_sales_cents + coalesce(rounded.rounding_cents, 0) as due_cents, 0 as net_cents
        from reporting.daily_sales
        left join (
            select day, currency, sum(rounding_cents) as rounding_cents
            from (
                select ordered_on as day, currency, rounding_cents
                from reporting.orders
                where voided_on is null
                union all by name
                -- What came back whole is not to be paid from then on.
                select cancelled_on as day, currency, -rounding_cents as rounding_cents
                from reporting.orders
                where cancelled_on is not null and voided_on is null
            )
            group by all
        ) as rounded using (day, currency)
        union all by name
        select
            paid_on as day,
            currency,
            0 as due_cents,
            case kind when 'capture' then amount_cents else -amount_cents end as net_cents
        from clean.payments
        where paid_on <= horizon()
    )
    where currency in (select currency from clean.payments where paid_on <= horizon())
)
"""

PAYMENT_BALANCES: Final = (
    Balance(
        name="payments_equal_accepted",
        meaning="The money that moved on a day is that of the accepted movements, per currency and method.",
        key=("day", "currency", "method"),
        one=Side(
            "lake/clean",
            f"(select * replace (coalesce(method, 'unknown') as method) from {_MOVED})",
            {
                "payments": "count(*) filter (kind = 'capture')",
                "refunds": "count(*) filter (kind = 'refund')",
                **_BY_KIND,
            },
        ),
        other=Side(
            "payments_daily",
            "reporting.payments_daily",
            {"payments": "sum(payments)", "refunds": "sum(refunds)", **_SUMS},
        ),
    ),
    Balance(
        name="receivables_equal_days",
        meaning="The difference of a day is what its sales come to, less the money that moved on it, per currency.",
        key=("day", "currency"),
        one=Side(
            "sales and payments",
            _DAY,
            {
                "due_cents": "sum(due_cents)",
                "net_cents": "sum(net_cents)",
                "difference_cents": "sum(due_cents - net_cents)",
            },
        ),
        other=Side(
            "receivables_daily",
            "reporting.receivables_daily",
            {
                "due_cents": "sum(total_sales_cents + rounding_cents)",
                "net_cents": "sum(captured_cents - refunded_cents - issued_cents)",
                "difference_cents": "sum(difference_cents)",
            },
        ),
    ),
    Balance(
        name="receivables_carried_on",
        meaning="What is receivable in the end is the sum of all days' differences, per currency.",
        key=("currency",),
        one=Side("sales and payments", _DAY, {"receivable_cents": "sum(due_cents - net_cents)"}),
        other=Side(
            "receivables_daily", "reporting.receivables_daily", {"receivable_cents": "arg_max(receivable_cents, day)"}
        ),
    ),
)
