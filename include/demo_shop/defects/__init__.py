"""Every kind of defect that can be planted into the shop, as data.

A defect changes one healthy row (``change``) or adds one row copied from it (``extra``), after the constraints in its
way were dropped. ``planting`` does it, and heals it again. Victims are the most recent rows that fit; a defect never
touches an order that another one has touched.
"""

from __future__ import annotations

from typing import Final

from include.demo_shop.defects.defect import MISSING_KEY, Defect
from include.demo_shop.defects.of_kits import KIT_DEFECTS, KIT_WARNINGS
from include.demo_shop.defects.of_lines import LINE_DEFECTS
from include.demo_shop.defects.of_orders import ORDER_DEFECTS, ORDER_WARNINGS
from include.demo_shop.defects.of_payments import PAYMENT_DEFECTS, PAYMENT_WARNINGS
from include.demo_shop.defects.of_purchases import PURCHASE_DEFECTS, PURCHASE_WARNINGS
from include.demo_shop.defects.of_refunds import REFUND_DEFECTS
from include.demo_shop.defects.of_shipments import SHIPMENT_DEFECTS, SHIPMENT_WARNINGS
from include.demo_shop.defects.of_stock import STOCK_DEFECTS

__all__ = ["DEFECTS", "MISSING_KEY", "Defect"]

_ALL = (
    *ORDER_DEFECTS,
    *LINE_DEFECTS,
    *REFUND_DEFECTS,
    *STOCK_DEFECTS,
    *ORDER_WARNINGS,
    *PAYMENT_DEFECTS,
    *PAYMENT_WARNINGS,
    *SHIPMENT_DEFECTS,
    *SHIPMENT_WARNINGS,
    *PURCHASE_DEFECTS,
    *PURCHASE_WARNINGS,
    *KIT_DEFECTS,
    *KIT_WARNINGS,
)

DEFECTS: Final = {defect.name: defect for defect in _ALL}
"""Every defect by name."""
