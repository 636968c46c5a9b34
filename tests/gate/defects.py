"""Which rules catch each planted defect, and which rules have no defect.

A rule of a source stands here: with a defect that breaks it, or in ``NOT_PLANTED`` with the reason why it has none.
"""

from __future__ import annotations

# What the quarantine must say of each planted row; beyond these only what follows from the same wrong value.
CAUGHT_BY = {
    "duplicate": {"one_row_per_key"},
    "unknown_customer": {"customer_exists"},
    "order_without_items": {"subtotal_equals_lines"},
    "total_mismatch": {"total_equals_parts"},
    "subtotal_mismatch": {"subtotal_equals_lines"},
    "tax_mismatch": {"tax_at_rate"},
    "negative_discount": {"discount_not_negative"},
    "discount_exceeds_subtotal": {"discount_within_subtotal", "tax_not_negative"},
    "missing_currency": {"currency_filled"},
    "unknown_currency": {"currency_known"},
    "unknown_status": {"status_known"},
    "status_went_back": {"status_moves_forward"},
    "cancelled_without_reason": {"cancelled_has_reason"},
    "cancelled_without_timestamp": {"cancelled_has_time"},
    "reason_without_cancellation": {"only_cancelled_has_reason"},
    "missing_ordered_at": {"ordered_at_filled"},
    "future_timestamp": {"delivered_not_in_future"},
    "infinite_timestamp": {"readable"},
    "shipped_before_ordered": {"ordered_before_shipped"},
    "delivered_before_shipped": {"shipped_before_delivered"},
    "orphan_item": {"order_exists"},
    "unknown_product": {"product_exists", "follows_orders"},
    "unknown_warehouse": {"warehouse_exists", "follows_orders"},
    "negative_quantity": {"quantity_positive", "follows_orders"},
    "huge_quantity": {"quantity_credible", "unit_price_credible", "follows_orders"},
    "zero_quantity": {"quantity_positive", "follows_orders"},
    "nan_price": {"readable", "unit_price_filled", "follows_orders"},
    "negative_item_price": {"unit_price_not_negative", "follows_orders"},
    "refund_of_unknown_item": {"order_item_exists"},
    "refund_exceeds_line": {"quantity_within_line", "refunds_within_line"},
    "refund_amount_exceeds_line": {"amount_within_line", "refunds_within_paid"},
    "negative_refund": {"amount_not_negative"},
    "refund_before_order": {"refunded_after_ordered"},
    "negative_stock": {"on_hand_not_negative", "reserved_within_on_hand"},
    "reserved_exceeds_on_hand": {"reserved_within_on_hand"},
    "negative_reserved": {"reserved_not_negative"},
    "movement_of_unknown_kind": {"kind_known"},
    "movement_of_unknown_product": {"product_exists"},
    "negative_price": {"price_not_negative"},
    "malformed_email": {"email_well_formed"},
}
WARNED_BY = {
    "stock_not_explained": "stock_explained",
    "missing_email": "email_filled",
    "unknown_channel": "channel_known",
}

_SAME_FORM = "A bound like that of {}, which has a defect; tests/contract/test_rules.py shows that its form works."

NOT_PLANTED = {
    "customers.created_not_in_future": _SAME_FORM.format("orders.delivered_not_in_future"),
    "products.cost_not_negative": _SAME_FORM.format("products.price_not_negative"),
    "orders.subtotal_credible": _SAME_FORM.format("order_items.unit_price_credible"),
    "orders.only_cancelled_has_time": _SAME_FORM.format("orders.only_cancelled_has_reason"),
    "orders.ordered_in_our_time": _SAME_FORM.format("order_items.quantity_positive"),
    "orders.ordered_not_in_future": _SAME_FORM.format("orders.delivered_not_in_future"),
    "orders.shipped_not_in_future": _SAME_FORM.format("orders.delivered_not_in_future"),
    "orders.cancelled_not_in_future": _SAME_FORM.format("orders.delivered_not_in_future"),
    "orders.ordered_before_delivered": _SAME_FORM.format("orders.ordered_before_shipped"),
    "orders.ordered_before_cancelled": _SAME_FORM.format("orders.ordered_before_shipped"),
    "orders.lines_accepted": "It follows from any defect of a line; tests/gate/test_checks.py expects it there.",
    "order_items.unit_cost_not_negative": _SAME_FORM.format("order_items.unit_price_not_negative"),
    "refunds.quantity_not_negative": _SAME_FORM.format("order_items.quantity_positive"),
    "refunds.refunded_in_our_time": _SAME_FORM.format("order_items.quantity_positive"),
    "refunds.refunded_not_in_future": _SAME_FORM.format("orders.delivered_not_in_future"),
    "inventory.reserved_explained": "tests/pipeline/test_stock.py breaks it: nobody ever releases a reservation.",
    "inventory_movements.movement_not_reversed": "tests/pipeline/test_stock.py breaks it, and nets what is reversed.",
    "inventory_movements.moved_in_our_time": _SAME_FORM.format("order_items.quantity_positive"),
    "inventory_movements.moved_not_in_future": _SAME_FORM.format("orders.delivered_not_in_future"),
}
