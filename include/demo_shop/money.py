"""The shop's arithmetic with money: decimals in what its price lists count in, rounded half up, never a float.

Prices with and without tax, discounts and shipping are whole cents in euros and dollars, fils in dinars, and tens of
yen: what yen come to with a tenth of tax in it is whole yen, and what they were without it is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Final

TAX_RATE: Final = Decimal("0.10")
SHIPPING: Final = Decimal("4.90")  # EUR
FREE_SHIPPING_FROM: Final = Decimal("100.00")  # EUR


@dataclass(frozen=True)
class Currency:
    """A currency that the shop sells in.

    Attributes:
        code: its ISO 4217 code.
        rate: units of it per EUR, in which the catalogue is kept.
        smallest: the smallest amount that it has.
        step: what amounts without tax are whole multiples of.
        includes_tax: whether the prices and discounts of lines are with tax.
    """

    code: str
    rate: Decimal
    smallest: Decimal
    step: Decimal
    includes_tax: bool = False


CURRENCIES: Final = {
    one.code: one
    for one in (
        Currency("EUR", Decimal("1.00"), Decimal("0.01"), Decimal("0.01")),
        Currency("USD", Decimal("1.10"), Decimal("0.01"), Decimal("0.01")),
        Currency("JPY", Decimal("160"), Decimal("1"), Decimal("10"), includes_tax=True),
        Currency("KWD", Decimal("0.33"), Decimal("0.001"), Decimal("0.001")),
    )
}


CATALOGUE: Final = CURRENCIES["EUR"]


def is_whole(amount: Decimal, unit: Decimal) -> bool:
    """Whether an amount is finite, and a whole number of units."""
    return amount.is_finite() and amount % unit == 0


def in_currency(amount: Decimal, currency: str) -> Decimal:
    """A catalogue amount (EUR) in one of ``CURRENCIES``, in whole steps."""
    return _rounded(amount * CURRENCIES[currency].rate, CURRENCIES[currency].step, ROUND_HALF_UP)


def tax_on(net: Decimal, currency: str) -> Decimal:
    """The tax on what remains of a subtotal, or of shipping, after its discount."""
    return _rounded(net * TAX_RATE, CURRENCIES[currency].smallest, ROUND_HALF_UP)


def with_tax(net: Decimal, currency: str) -> Decimal:
    """What is paid back for a refund of so much before tax; rounded down, as ``refundable`` is."""
    return net + _rounded(net * TAX_RATE, CURRENCIES[currency].smallest, ROUND_FLOOR)


def on_price_tag(net: Decimal, currency: str) -> Decimal:
    """What a line says of an amount without tax: a price or a discount, with tax in some currencies."""
    return net + tax_on(net, currency) if CURRENCIES[currency].includes_tax else net


def without_tax(tagged: Decimal, currency: str) -> Decimal:
    """The amount without tax that ``on_price_tag`` was given."""
    return tagged / (1 + TAX_RATE) if CURRENCIES[currency].includes_tax else tagged


def shipping_of(net: Decimal, currency: str) -> Decimal:
    """What delivery costs, before its discount and tax: nothing from 100.00 EUR on.

    Args:
        net: what remains of the order's subtotal after its discount.
        currency: the order's.
    """
    return Decimal(0) if net >= in_currency(FREE_SHIPPING_FROM, currency) else in_currency(SHIPPING, currency)


def refundable(
    gross: Decimal, subtotal: Decimal, discount: Decimal, quantity: int, ordered: int, currency: str
) -> Decimal:
    """What `quantity` of a line's `ordered` units cost after the line's share of the order's discount, before tax.

    Rounded down, so that the lines of an order together never give back more than was paid for them.

    Args:
        gross: the line's quantity × unit price, less the line's own discount.
        subtotal: the sum of these over the order's lines.
        discount: what was taken off that: the order's discount without its lines' own.
        quantity: how many units, from 0 to `ordered`.
        ordered: the line's quantity.
        currency: of all amounts.
    """
    if subtotal == 0:
        return Decimal(0)
    exact = gross * (subtotal - discount) * quantity / (subtotal * ordered)
    return _rounded(exact, CURRENCIES[currency].smallest, ROUND_FLOOR)


def _rounded(amount: Decimal, unit: Decimal, how: str) -> Decimal:
    """An amount as a whole number of units."""
    return (amount / unit).quantize(Decimal(1), how) * unit
