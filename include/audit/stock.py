"""The balances of stock: every unit on a shelf came from a movement, and a day opens as the one before closed."""

from __future__ import annotations

from typing import Final

from include.audit.balance import Balance, Side
from include.contract.counted import OF_UNITS

_SHELF = ("product_id", "warehouse_id")
_CHANGES_STOCK = f"kind in ('receipt', 'shipment', 'return', 'adjustment', '{OF_UNITS}')"

_CARRIED = """
(
    select
        *,
        lag(closing_units, 1, 0) over shelf as carried_units,
        coalesce(day - lag(day) over shelf - 1, 0) as missing_days
    from reporting.inventory_daily
    window shelf as (partition by product_id, warehouse_id order by day)
)
"""

# The stock now, and what of it is reserved, minus the movements after the data-through date, minus the movements in
# quarantine: those changed the shelf and not the tables, but for what no shop can move. Of a shelf that is itself in
# quarantine, or was not known by that date, only the movements are known.
_MOVEMENT = f"""
    case when {_CHANGES_STOCK} then quantity else 0 end as units,
    case when changes_reserved then quantity else 0 end as reserved
"""
_KNOWN = "(select * from clean.inventory where coalesce(known_on, horizon()) <= horizon())"
_ON_SHELF = f"""
(
    select product_id, warehouse_id, on_hand as units, reserved from {_KNOWN}
    union all
    select product_id, warehouse_id, -units, -reserved
    from (
        select product_id, warehouse_id, {_MOVEMENT} from clean.inventory_movements where moved_on > horizon()
        union all
        select product_id, warehouse_id, {_MOVEMENT} from quarantine.inventory_movements where is_credible
    ) as moved
    semi join {_KNOWN} using (product_id, warehouse_id)
    union all
    select product_id, warehouse_id, {_MOVEMENT} from clean.inventory_movements
    anti join {_KNOWN} using (product_id, warehouse_id)
    where moved_on <= horizon()
)
"""


def _moved(kind: str) -> str:
    return f"coalesce(sum(quantity) filter (kind = '{kind}'), 0)"


STOCK_BALANCES: Final = (
    Balance(
        name="stock_balance",
        meaning="Opening + received − shipped + returned + adjusted + unexplained = closing, and a day opens as the one"
        " before it closed.",
        key=("day", *_SHELF),
        one=Side(
            "its movements",
            _CARRIED,
            {
                "closing_units": "sum(opening_units + received - shipped + returned + adjusted + unexplained_units)",
                "opening_units": "sum(carried_units)",
                "missing_days": "sum(missing_days)",
            },
        ),
        other=Side(
            "inventory_daily",
            "reporting.inventory_daily",
            {"closing_units": "sum(closing_units)", "opening_units": "sum(opening_units)", "missing_days": "0"},
        ),
    ),
    Balance(
        name="stock_equals_movements",
        meaning="The units moved on a day are the accepted movements of that day; what no movement explains before the"
        " last day are the counts of a shop without movements.",
        key=("day", *_SHELF),
        one=Side(
            "lake/clean",
            "(select *, moved_on as day from clean.inventory_movements where moved_on <= horizon())",
            {
                "received": _moved("receipt"),
                "shipped": f"-{_moved('shipment')}",
                "returned": _moved("return"),
                "adjusted": _moved("adjustment"),
                "counted": f"coalesce(sum(quantity) filter (kind = '{OF_UNITS}' and day < horizon()), 0)",
            },
        ),
        other=Side(
            "inventory_daily",
            "reporting.inventory_daily",
            {name: f"sum({name})" for name in ("received", "shipped", "returned", "adjusted")}
            | {"counted": "coalesce(sum(unexplained_units) filter (day < horizon()), 0)"},
        ),
    ),
    Balance(
        name="stock_on_hand",
        meaning="The last day closes with the shop's stock on hand, as much of it reserved as there, as of that day.",
        key=_SHELF,
        one=Side("the shelf", _ON_SHELF, {"units": "sum(units)", "reserved": "sum(reserved)"}),
        other=Side(
            "inventory_daily",
            "reporting.inventory_daily where day = horizon()",
            {"units": "sum(closing_units)", "reserved": "sum(reserved)"},
        ),
    ),
    Balance(
        name="purchases_equal_lines",
        meaning="What was ordered of suppliers, and what of it has come, is what the accepted lines say.",
        key=_SHELF,
        one=Side(
            "lake/clean",
            "(select * from clean.purchase_order_lines where known_on <= horizon())",
            {
                "lines": "count(*) filter (quantity > 0)",
                "ordered": "sum(quantity)",
                "received": "coalesce(sum(received) filter (received_on <= horizon()), 0)",
            },
        ),
        other=Side(
            "incoming_stock",
            "reporting.incoming_stock",
            {
                "lines": "count(*) filter (ordered_units > 0)",
                "ordered": "sum(ordered_units)",
                "received": "sum(received_units)",
            },
        ),
    ),
)
