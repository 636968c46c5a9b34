"""The shop's arithmetic with money: decimals in whole cents, rounded half up, never a float."""

from __future__ import annotations

from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Final

CENT: Final = Decimal("0.01")
TAX_RATE: Final = Decimal("0.10")
SHIPPING: Final = Decimal("4.90")  # EUR
FREE_SHIPPING_FROM: Final = Decimal("100.00")  # EUR
RATES: Final = {"EUR": Decimal("1.00"), "USD": Decimal("1.10")}
"""Units of each currency that the shop sells in per EUR, in which its catalogue is kept."""


def cents(amount: Decimal) -> Decimal:
    """An amount rounded half up to whole cents."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def is_whole_cents(amount: Decimal) -> bool:
    """Whether an amount is a finite number of whole cents."""
    return amount.is_finite() and amount == amount.quantize(CENT)


def in_currency(amount: Decimal, currency: str) -> Decimal:
    """A catalogue amount (EUR) in one of the currencies of ``RATES``, in whole cents."""
    return cents(amount * RATES[currency])


def tax_on(net: Decimal) -> Decimal:
    """The tax on what remains of a subtotal, or of shipping, after its discount."""
    return cents(net * TAX_RATE)


def with_tax(net: Decimal) -> Decimal:
    """What is paid back for a refund of so much before tax; rounded down, as ``refundable`` is."""
    return net + (net * TAX_RATE).quantize(CENT, ROUND_FLOOR)


def shipping_of(net: Decimal, currency: str) -> Decimal:
    """What delivery costs, before its discount and tax: nothing from 100.00 EUR on.

    Args:
        net: what remains of the order's subtotal after its discount.
        currency: the order's.
    """
    return Decimal("0.00") if net >= in_currency(FREE_SHIPPING_FROM, currency) else in_currency(SHIPPING, currency)


def refundable(gross: Decimal, subtotal: Decimal, discount: Decimal, quantity: int, ordered: int) -> Decimal:
    """What `quantity` of a line's `ordered` units cost after the line's share of the order's discount, before tax.

    Rounded down, so that the lines of an order together never give back more than was paid for them.

    Args:
        gross: the line's quantity × unit price, less the line's own discount.
        subtotal: the sum of these over the order's lines.
        discount: what was taken off that: the order's discount without its lines' own.
        quantity: how many units, from 0 to `ordered`.
        ordered: the line's quantity.
    """
    if subtotal == 0:
        return Decimal("0.00")
    exact = gross * (subtotal - discount) * quantity / (subtotal * ordered)
    return exact.quantize(CENT, ROUND_FLOOR)
