"""The balances of sales: accepted rows = lines = orders = days. A join that fans out money breaks one of them."""

from __future__ import annotations

from typing import Final

from include.audit.balance import Balance, Side


def _sums(**columns: str) -> dict[str, str]:
    """Sums by name; 0 where there are no values."""
    return {name: f"coalesce(sum({column}), 0)" for name, column in columns.items()}


def _known_sum(column: str) -> str:
    """A sum that is null when any value is null."""
    return f"case when count(*) = count({column}) then sum({column}) end"


# Refunds are added up per line before the join, so that a line with two refunds stays one row.
_ACCEPTED_LINES = """
clean.order_items as line
left join (
    select
        order_item_id, sum(quantity) as refunded, sum(amount_cents) as returns_cents,
        sum(tax_cents) as tax_refunds_cents
    from clean.refunds where refunded_on <= horizon() group by order_item_id
) as refunded on refunded.order_item_id = line.order_item_id
where line.sold_on <= horizon()
"""

_ACCEPTED_ORDERS = """
clean.orders
left join (
    select order_id, sum(discount_cents) as own_discounts_cents, sum(gross_cents) as gross_cents
    from clean.order_items
    where sold_on <= horizon() and (removed_on is null or removed_on > horizon())
    group by order_id
) as lines using (order_id)
left join (
    select
        order_id, sum(amount_cents) as other_refunds_cents, sum(shipping_cents) as shipping_refunds_cents,
        sum(tax_cents) as tax_of_no_line_cents
    from clean.order_refunds where refunded_on <= horizon() group by order_id
) as given_back using (order_id)
left join (
    select line.order_id, sum(refund.tax_cents) as tax_of_lines_cents
    from clean.refunds as refund join clean.order_items as line using (order_item_id)
    where refund.refunded_on <= horizon() and (line.removed_on is null or line.removed_on > horizon())
    group by line.order_id
) as of_lines using (order_id)
where ordered_on <= horizon()
"""

# What counts on a day: orders placed, lines sold and taken out, refunds given, and units that came back on it.
_DAY = """
(
    select
        ordered_on as day, currency, 1 as orders, customer_id, is_first_order::integer as is_first,
        (customer_id is null)::integer as is_guest, shipping_cents, tax_cents
    from reporting.orders where status <> 'cancelled'
    union all by name
    select sold_on as day, currency, quantity as units, gross_sales_cents, discount_allocated_cents as discount_cents
    from reporting.order_lines where not is_cancelled
    union all by name
    select
        removed_on as day, currency, quantity as refunded_units,
        gross_sales_cents - discount_allocated_cents as amount_cents
    from reporting.order_lines where removed_on is not null and not is_cancelled
    union all by name
    select ordered_on as day, currency, 1 as cancelled_orders from reporting.orders where status = 'cancelled'
    union all by name
    select
        refund.refunded_on as day, placed.currency, refund.quantity as refunded_units, refund.amount_cents,
        refund.tax_cents as tax_refunds_cents
    from clean.refunds as refund
    join clean.order_items as line using (order_item_id)
    join clean.orders as placed using (order_id)
    where refund.refunded_on <= horizon() and (placed.cancelled_on is null or placed.cancelled_on > horizon())
        and (line.removed_on is null or line.removed_on > horizon())
    union all by name
    select refund.returned_on as day, placed.currency, refund.quantity as returned_units
    from clean.refunds as refund
    join clean.order_items as line using (order_item_id)
    join clean.orders as placed using (order_id)
    where refund.returned_on <= horizon() and refund.refunded_on <= horizon()
        and (line.removed_on is null or line.removed_on > horizon())
        and (placed.cancelled_on is null or placed.cancelled_on > horizon())
    union all by name
    select
        refund.refunded_on as day, refund.currency, refund.amount_cents as other_refunds_cents,
        refund.shipping_cents as shipping_refunds_cents, refund.tax_cents as tax_refunds_cents
    from clean.order_refunds as refund
    left join clean.orders as placed using (order_id)
    where refund.refunded_on <= horizon() and (placed.cancelled_on is null or placed.cancelled_on > horizon())
)
"""
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
    *_OF_NO_LINE, "net_sales_cents", "total_sales_cents",
)  # fmt: skip

_DIMENSION_DAY = tuple(name for name in _DAY_FIGURES if name != "customers")  # one may buy in two stores a day

SALES_BALANCES: Final = (
    Balance(
        name="lines_equal_accepted",
        meaning="The lines of an order are the accepted ones, with exactly the refunds that were accepted of them.",
        key=("order_id",),
        one=Side(
            "lake/clean",
            _ACCEPTED_LINES,
            {
                "lines": "count(*)",
                **_sums(
                    units="line.quantity",
                    gross_sales_cents="line.gross_cents",
                    refunded_units="refunded.refunded",
                    returns_cents="refunded.returns_cents",
                    tax_cents="line.tax_cents",
                    tax_refunds_cents="refunded.tax_refunds_cents",
                    cost_cents="line.quantity::hugeint * line.unit_cost_cents",
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
                    returns_cents="returns_cents",
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
            _ACCEPTED_ORDERS,
            {
                "orders": "count(*)",
                "cancelled_orders": "count(*) filter (cancelled_on <= horizon())",
                "guest_orders": "count(*) filter (customer_id is null)",
                **_sums(
                    gross_sales_cents="gross_cents",
                    # Lines' discounts, rounded one by one, may come to a cent or two more than the order's, and the
                    # order's to as much more than what its lines come to.
                    discount_cents="least(greatest(discount_cents, own_discounts_cents), gross_cents)",
                    shipping_cents="shipping_cents - shipping_discount_cents",
                    tax_cents="tax_cents",
                    shipping_tax_cents="shipping_tax_cents",
                    total_cents="total_cents",
                    other_refunds_cents="other_refunds_cents",
                    shipping_refunds_cents="shipping_refunds_cents",
                    tax_refunds_cents="coalesce(tax_of_no_line_cents, 0) + coalesce(tax_of_lines_cents, 0)",
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
        meaning="Orders placed, lines sold and taken out, refunds given, also of no line, and units that came back on "
        "a day add up to the day, per currency.",
        key=("day", "currency"),
        one=Side(
            "orders, lines and refunds",
            _DAY,
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
