"""The figures of the dashboard once more: in Python, from all rows of the published tables."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from include.serve.metrics import METRICS
from tests.nights import LAST_DAY

FIRST = date(2026, 3, 1)
FIRST_COHORT = date(2026, 1, 15)  # in the month, which counts as a whole

Rows = list[dict[str, Any]]
Read = Callable[[str], Rows]


def _within(rows: Rows, currency: str | None, first: date = FIRST, column: str = "day") -> Rows:
    return [row for row in rows if first <= row[column] <= LAST_DAY and currency in (None, row["currency"])]


def money(amount: Decimal | Fraction | None) -> str | None:
    """As the shop's amounts are: three decimals."""
    if isinstance(amount, Fraction):
        amount = Decimal(amount.numerator) / Decimal(amount.denominator)
    return None if amount is None else str(amount.quantize(Decimal("0.001"), ROUND_HALF_UP))


def _best(rows: Rows, limit: int, *order: str) -> Rows:
    """The first rows of each currency: by the amount of a column, the greatest first, then by the other columns."""
    rows = sorted(rows, key=lambda row: (row["currency"], -row[order[0]], *(row[name] for name in order[1:])))
    seen: Counter[str] = Counter()
    return [row for row in rows if (seen.update([row["currency"]]) or seen[row["currency"]]) <= limit]


def daily(measure: str, *more: str) -> Callable[[Read, str | None, int], Rows]:
    """A column of daily_sales, with the median of the same weekdays before."""

    def expected(read: Read, currency: str | None, _: int) -> Rows:
        rows = {(row["day"], row["currency"]): row for row in read("daily_sales")}
        found = []
        for row in sorted(_within(read("daily_sales"), currency), key=lambda row: (row["day"], row["currency"])):
            days = [row["day"] - timedelta(weeks=ago) for ago in range(1, 9)]
            before = [rows[day, row["currency"]][measure] for day in days if (day, row["currency"]) in rows]
            before = [value for value in before if value is not None]
            median = statistics.median(before) if before else None
            found.append(
                {name: row[name] for name in ("day", "currency", measure, *more)}
                | {
                    "weekday_median": money(median) if isinstance(row[measure], Decimal) else median,
                    "weeks": len(before),
                }
            )
        return found

    return expected


def discounts(read: Read, currency: str | None, _: int) -> Rows:
    names = ("day", "currency", "gross_sales", "discounts")
    rows = sorted(_within(read("daily_sales"), currency), key=lambda row: (row["day"], row["currency"]))
    return [
        {name: row[name] for name in names}
        | {"discount_rate": float(row["discounts"]) / float(row["gross_sales"]) if row["gross_sales"] else None}
        for row in rows
    ]


def discount_codes(read: Read, currency: str | None, limit: int) -> Rows:
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for row in _within(read("discounts"), currency):
        name = row["currency"], row["discount_code"]
        found = sums.setdefault(
            name, dict(zip(("currency", "discount_code", "discounts", "orders", "days"), (*name, 0, 0, 0), strict=True))
        )
        found["discounts"] += row["discounts"]
        found["orders"] += row["orders"]
        found["days"] += 1
    return _best(list(sums.values()), limit, "discounts", "discount_code")


def _products(read: Read, product: int) -> dict[str, Any]:
    (found,) = [row for row in read("products") if row["product_id"] == product]
    return {name: found[name] for name in ("product_id", "sku", "name", "category")}


def top_products(read: Read, currency: str | None, limit: int) -> Rows:
    grouped = defaultdict(list)
    for row in _within(read("daily_product_sales"), currency):
        grouped[row["currency"], row["product_id"]].append(row)
    rows = []
    for (code, product), sold in grouped.items():
        sums = {name: sum(row[name] for row in sold) for name in ("net_sales", "units", "returns")}
        margins = [row["gross_margin"] for row in sold]
        margin = None if None in margins else sum(margins)
        rows.append({"currency": code} | _products(read, product) | sums | {"gross_margin": margin})
    return _best(rows, limit, "net_sales", "product_id")


def movers(read: Read, currency: str | None, limit: int) -> Rows:
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for row in _within(read("daily_product_sales"), currency, LAST_DAY - timedelta(days=13)):
        nothing = {"net_sales": Decimal("0.000"), "net_sales_before": Decimal("0.000"), "change": Decimal("0.000")}
        key = row["currency"], row["product_id"]
        found = rows.setdefault(
            key,
            {"currency": row["currency"]} | _products(read, row["product_id"])
            | nothing | {"units": 0, "units_before": 0},
        )  # fmt: skip
        when = "" if (LAST_DAY - row["day"]).days < 7 else "_before"
        found[f"net_sales{when}"] += row["net_sales"]
        found[f"units{when}"] += row["units"]
    for found in rows.values():
        found["change"] = found["net_sales"] - found["net_sales_before"]
        found["by"] = abs(found["change"])
    best = _best([row for row in rows.values() if row["change"]], limit, "by", "product_id")
    return [{name: value for name, value in row.items() if name != "by"} for row in best]


def stockouts(read: Read, currency: str | None, _: int) -> Rows:
    episodes = read("stockouts")
    currencies = sorted({row["currency"] for row in episodes}, key=lambda code: code or "~")
    found = []
    for number in range((LAST_DAY - FIRST).days + 1):
        day = FIRST + timedelta(days=number)
        for code in currencies:
            if currency not in (None, code):
                continue
            open_ = [
                row for row in episodes
                if row["currency"] == code and row["started_on"] <= day <= (row["ended_on"] or LAST_DAY)
            ]  # fmt: skip
            units = [row["lost_units"] / row["days"] for row in open_ if row["lost_units"] is not None]
            sales = [Fraction(row["lost_sales"]) / row["days"] for row in open_ if row["lost_sales"] is not None]
            found.append(
                {
                    "day": day,
                    "currency": code,
                    "shelves": len(open_),
                    "started": sum(row["started_on"] == day for row in open_),
                    "lost_units": sum(units) if units or not open_ else None,
                    "lost_sales": money(sum(sales, Fraction(0))) if sales or not open_ else None,
                    "unknown": len(open_) - len(sales),
                }
            )
    return found


def stock_health(read: Read, _: str | None, __: int) -> Rows:
    grouped = defaultdict(list)
    for row in read("inventory_health"):
        grouped[row["night"], row["status"]].append(row)
    return [
        {
            "night": night,
            "status": status,
            "shelves": len(rows),
            "available": sum(row["available"] for row in rows),
            "on_order_units": sum(row["on_order_units"] for row in rows),
        }
        for (night, status), rows in sorted(grouped.items())
    ]


def days_of_supply(read: Read, _: str | None, __: int) -> Rows:
    shelves = [row for row in read("inventory_health") if row["night"] == LAST_DAY]
    ends = [0, 1, 7, 14, 28, 60, 120, None]
    found = []
    for least, below in zip(ends, [*ends[1:], None], strict=True):
        rows = [
            row for row in shelves
            if (row["days_of_supply"] is None) == (least is None)
            and (least is None or (row["days_of_supply"] >= least and (below is None or row["days_of_supply"] < below)))
        ]  # fmt: skip
        found.append(
            {
                "from_days": least,
                "below_days": below,
                "shelves": len(rows),
                "available": sum(row["available"] for row in rows),
            }
        )
    return found


def suggested_orders(read: Read, _: str | None, limit: int) -> Rows:
    products = {row["product_id"]: row for row in read("products")}
    rows = [
        row for row in read("inventory_health")
        if row["night"] == LAST_DAY and row["suggested_order"] and products[row["product_id"]]["is_active"]
    ]  # fmt: skip
    for row in rows:
        row["is_due"] = row["available"] + row["on_order_units"] <= row["reorder_point"]
    rows.sort(key=lambda row: (not row["is_due"], -row["suggested_order"], row["product_id"], row["warehouse_id"]))
    names = [getattr(column, "name", str(column).split(".")[-1]) for column in METRICS["suggested_orders"].columns]
    return [{name: (row | products[row["product_id"]])[name] for name in names} for row in rows[:limit]]


def cohorts(read: Read, currency: str | None, _: int) -> Rows:
    names = [str(column).split(".")[-1] for column in METRICS["cohorts"].columns]
    rows = _within(read("customer_cohorts"), currency, FIRST_COHORT.replace(day=1), "cohort_month")
    rows.sort(key=lambda row: (row["cohort_month"], row["currency"], row["months_since"]))
    return [{name: row[name] for name in names} | {"cohort_month": f"{row['cohort_month']:%Y-%m}"} for row in rows]


def rfm_segments(read: Read, currency: str | None, _: int) -> Rows:
    grouped = defaultdict(list)
    for row in _within(read("customer_rfm"), currency, LAST_DAY, "night"):
        grouped[row["currency"], row["segment"]].append(row)
    rows: Rows = [
        {
            "night": LAST_DAY,
            "currency": code,
            "segment": segment,
            "customers": len(members),
            "monetary": sum(row["monetary"] for row in members),
            "mean_recency_days": statistics.fmean(row["recency_days"] for row in members),
        }
        for (code, segment), members in grouped.items()
    ]
    return _best(rows, 100, "customers", "segment")


def fulfilment(read: Read, _: str | None, __: int) -> Rows:
    names = [str(column).split(".")[-1] for column in METRICS["fulfilment"].columns]
    rows = [row for row in read("fulfilment_daily") if FIRST <= row["day"] <= LAST_DAY]
    rows.sort(key=lambda row: (row["day"], row["warehouse_id"]))
    return [{name: row[name] for name in names} for row in rows]


EXPECTED: Mapping[str, Callable[[Read, str | None, int], Rows]] = {
    "net_sales": daily("net_sales", "gross_sales", "discounts", "returns"),
    "orders": daily("orders", "cancelled_orders", "guest_orders"),
    "average_order_value": daily("average_order_value", "orders"),
    "returns": daily("returns", "refunded_units"),
    "new_customers": daily("new_customers", "returning_customers", "guest_orders"),
    "discounts": discounts,
    "discount_codes": discount_codes,
    "top_products": top_products,
    "movers": movers,
    "stockouts": stockouts,
    "stock_health": stock_health,
    "days_of_supply": days_of_supply,
    "suggested_orders": suggested_orders,
    "cohorts": cohorts,
    "rfm_segments": rfm_segments,
    "fulfilment": fulfilment,
}
