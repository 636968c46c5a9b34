"""The balances of sales: accepted rows = lines = orders = days. A join that fans out money breaks one of them."""

from __future__ import annotations

from typing import Final

from include.audit import sales_rows
from include.audit.balance import Balance, Side


def _sums(**columns: str) -> dict[str, str]:
    """Sums by name; 0 where there are no values."""
    return {name: f"coalesce(sum({column}), 0)" for name, column in columns.items()}


def _known_sum(column: str) -> str:
    """A sum that is null when any value is null."""
    return f"case when count(*) = count({column}) then sum({column}) end"


_BACK = "case when comes_back then greatest({given}, {all}) else {given} end"
_NET = "coalesce(sum(gross_sales_cents), 0) - coalesce(sum(discount_cents), 0) - coalesce(sum(amount_cents), 0)"
_TOTAL = f"""
{_NET} - coalesce(sum(other_refunds_cents), 0)
+ coalesce(sum(shipping_cents), 0) - coalesce(sum(shipping_refunds_cents), 0)
+ coalesce(sum(tax_cents), 0) - coalesce(sum(tax_refunds_cents), 0)
"""
_OF_NO_LINE = ("other_refunds_cents", "shipping_refunds_cents", "tax_refunds_cents")

# The channel is always a dimension, also where no row says so.
_DAY_OF_EVERY_DIMENSION = """
reporting.daily_sales
cross join (select 'channel' as dimension union select dimension from reporting.daily_sales_by) as dimensions
"""

_PRODUCT_DAY = ("units", "refunded_units", "gross_sales_cents", "discounts_cents", "returns_cents", "net_sales_cents")
_DISCOUNT_DAY = ("discounts_cents",)
_REFUND_DAY = ("refunded_units", "returns_cents")
_DAY_FIGURES = (
    "orders", "cancelled_orders", "customers", "new_customers", "guest_orders", "units", "refunded_units",
    "returned_units", "gross_sales_cents", "discounts_cents", "shipping_cents", "tax_cents", "returns_cents",
    *_OF_NO_LINE, "net_sales_cents", "total_sales_cents", "rounding_cents",
)  # fmt: skip

_DIMENSION_DAY = tuple(name for name in _DAY_FIGURES if name != "customers")  # one may buy in two stores a day

SALES_BALANCES: Final = (
    Balance(
        name="lines_equal_accepted",
        meaning="The lines of an order are the accepted ones, with exactly the refunds that were accepted of them.",
        key=("order_id",),
        one=Side(
            "lake/clean",
            sales_rows.ACCEPTED_LINES,
            {
                "lines": "count(*)",
                **_sums(
                    units="line.quantity",
                    gross_sales_cents="line.gross_cents",
                    refunded_units="line.refunded_units",
                    returns_cents="line.returns_cents",
                    tax_cents="line.tax_cents",
                    tax_refunds_cents="line.tax_refunds_cents",
                    cost_cents="per_unit(line.quantity::hugeint * line.unit_cost_cents)",
                ),
            },
        ),
        other=Side(
            "order_lines",
            "reporting.order_lines",
            {
                "lines": "count(*)",
                **_sums(
                    units="quantity",
                    gross_sales_cents="gross_sales_cents",
                    refunded_units="refunded_quantity",
                    returns_cents="returns_cents - cancelled_returns_cents",
                    tax_cents="tax_cents",
                    tax_refunds_cents="tax_refunds_cents",
                    cost_cents="cost_cents",
                ),
            },
        ),
    ),
    Balance(
        name="orders_equal_accepted",
        meaning="Every accepted order is there once, with the amounts of the shop and what was given back of it; a "
        "guest's alone has no customer.",
        key=("order_id",),
        one=Side(
            "lake/clean",
            sales_rows.ACCEPTED_ORDERS,
            {
                "orders": "count(*)",
                "cancelled_orders": "count(*) filter (cancelled_on <= horizon())",
                "guest_orders": "count(*) filter (customer_id is null)",
                **_sums(
                    gross_sales_cents="gross_cents",
                    # Lines' discounts, rounded one by one, may come to a cent or two more than the order's, and the
                    # order's to as much more than what its lines come to.
                    discount_cents="least(greatest(discount_cents, own_discounts_cents), gross_cents)",
                    shipping_cents="net_shipping_cents",
                    tax_cents="tax_cents",
                    shipping_tax_cents="shipping_tax_cents",
                    total_cents="total_cents",
                    other_refunds_cents="case when comes_back then 0 else other_cents end",
                    shipping_refunds_cents=_BACK.format(given="shipping_back_cents", all="net_shipping_cents"),
                    tax_refunds_cents=_BACK.format(given="tax_back_cents", all="tax_cents"),
                ),
            },
        ),
        other=Side(
            "orders",
            "reporting.orders",
            {
                "orders": "count(*)",
                "cancelled_orders": "count(*) filter (status = 'cancelled')",
                "guest_orders": "count(*) filter (customer_id is null)",
                **_sums(
                    gross_sales_cents="gross_sales_cents",
                    discount_cents="discount_cents",
                    shipping_cents="shipping_cents",
                    tax_cents="tax_cents",
                    shipping_tax_cents="shipping_tax_cents",
                    total_cents="total_cents",
                    **{name: name for name in _OF_NO_LINE},
                ),
            },
        ),
    ),
    Balance(
        name="orders_equal_lines",
        meaning="The lines that are in an order add up to it.",
        key=("order_id",),
        one=Side(
            "order_lines",
            "reporting.order_lines where removed_on is null",
            {
                "lines": "count(*)",
                **_sums(
                    units="quantity",
                    refunded_units="refunded_quantity",
                    gross_sales_cents="gross_sales_cents",
                    discount_cents="discount_allocated_cents",
                    returns_cents="returns_cents",
                    net_sales_cents="net_sales_cents",
                ),
                **{name: _known_sum(name) for name in ("cost_cents", "returned_cost_cents", "gross_margin_cents")},
            },
        ),
        other=Side(
            "orders",
            "reporting.orders",
            {
                **_sums(
                    lines="item_count",
                    units="units",
                    refunded_units="refunded_units",
                    gross_sales_cents="gross_sales_cents",
                    discount_cents="discount_cents",
                    returns_cents="returns_cents",
                    net_sales_cents="net_sales_cents",
                ),
                **{name: f"sum({name})" for name in ("cost_cents", "returned_cost_cents", "gross_margin_cents")},
            },
        ),
    ),
    Balance(
        name="days_equal_orders",
        meaning="Orders placed and cancelled, lines sold and taken out, refunds given, also of no line, and units that "
        "came back on a day add up to the day, per currency.",
        key=("day", "currency"),
        one=Side(
            "orders, lines and refunds",
            sales_rows.DAY,
            {
                **_sums(orders="orders", cancelled_orders="cancelled_orders"),
                "customers": "count(distinct customer_id)",
                **_sums(
                    new_customers="is_first",
                    guest_orders="is_guest",
                    units="units",
                    refunded_units="refunded_units",
                    returned_units="returned_units",
                    gross_sales_cents="gross_sales_cents",
                    discounts_cents="discount_cents",
                    shipping_cents="shipping_cents",
                    tax_cents="tax_cents",
                    returns_cents="amount_cents",
                    **{name: name for name in _OF_NO_LINE},
                ),
                "net_sales_cents": _NET,
                "total_sales_cents": _TOTAL,
                **_sums(rounding_cents="rounding_cents"),
            },
        ),
        other=Side("daily_sales", "reporting.daily_sales", _sums(**{name: name for name in _DAY_FIGURES})),
    ),
    Balance(
        name="days_equal_dimensions",
        meaning="The values of every dimension (channels, stores) add up to the day, per currency.",
        key=("day", "currency", "dimension"),
        one=Side("daily_sales_by", "reporting.daily_sales_by", _sums(**{name: name for name in _DIMENSION_DAY})),
        other=Side("daily_sales", _DAY_OF_EVERY_DIMENSION, _sums(**{name: name for name in _DIMENSION_DAY})),
    ),
    Balance(
        name="days_equal_products",
        meaning="The sales and refunds of all products on a day add up to the day, per currency.",
        key=("day", "currency"),
        one=Side(
            "daily_product_sales", "reporting.daily_product_sales", _sums(**{name: name for name in _PRODUCT_DAY})
        ),
        other=Side("daily_sales", "reporting.daily_sales", _sums(**{name: name for name in _PRODUCT_DAY})),
    ),
    Balance(
        name="days_equal_refunds",
        meaning="What was refunded on a day, restocked or not, adds up to it, per currency.",
        key=("day", "currency"),
        one=Side("refunds_daily", "reporting.refunds_daily", _sums(**{name: name for name in _REFUND_DAY})),
        other=Side("daily_sales", "reporting.daily_sales", _sums(**{name: name for name in _REFUND_DAY})),
    ),
    Balance(
        name="days_equal_discounts",
        meaning="The discounts of a day, under all codes and none, add up to it, per currency.",
        key=("day", "currency"),
        one=Side("discounts", "reporting.discounts", _sums(**{name: name for name in _DISCOUNT_DAY})),
        other=Side("daily_sales", "reporting.daily_sales", _sums(**{name: name for name in _DISCOUNT_DAY})),
    ),
)
