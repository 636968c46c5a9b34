"""ISO 4217: how many decimals a currency has, and what follows for amounts."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pytest

from include.contract.currency import CURRENCIES, SMALLEST_UNIT, decimals_of, written


def test_the_decimals_of_iso_4217() -> None:
    assert [decimals_of(code) for code in ("EUR", "JPY", "KWD", "VND", "TND", "ISK", "IDR", "ZZZ")] == [
        2, 0, 3, 0, 3, 0, 2, 2,
    ]  # fmt: skip
    assert len(CURRENCIES) == len(set(CURRENCIES))
    some = {decimals: sum(decimals_of(code) == decimals for code in CURRENCIES) for decimals in (0, 2, 3)}
    assert some == {0: 16, 2: len(CURRENCIES) - 23, 3: 7}


@pytest.mark.parametrize(
    ("decimals", "units"), [(0, (1, 1, 1)), (2, (100, 1, 1)), (3, (1000, 10, 1))], ids=["none", "two", "three"]
)
def test_the_smallest_unit_of_every_currency_in_a_lake(decimals: int, units: tuple[int, ...]) -> None:
    """Of one without decimals, with two, with three; a lake that is coarser than a currency counts in its own unit."""
    expected = {0: units[0], 2: units[1], 3: units[2]}
    codes = ", ".join(f"('{code}')" for code in CURRENCIES)
    with duckdb.connect() as session:
        session.execute(f"create macro smallest_unit(currency, decimals) as {SMALLEST_UNIT}")
        found = session.execute(
            f"select code, smallest_unit(code, {decimals}) from (values {codes}, (null)) as codes(code)"
        ).fetchall()
    assert dict(found) == {code: expected[decimals_of(code or "")] for code in (*CURRENCIES, None)}


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1234.5", "EUR", "1,234.50"),
        ("1234.500", "JPY", "1,234.5"),
        ("1234.000", "JPY", "1,234"),
        ("0.5", "KWD", "0.500"),
        ("-12.340", "USD", "-12.34"),
        ("7.125", "EUR", "7.125"),
        ("100", "?", "100.00"),
        ("0", "JPY", "0"),
    ],
)
def test_how_an_amount_is_written(amount: str, currency: str, text: str) -> None:
    """With its currency's decimals; one that is held for having more shows them."""
    assert written(Decimal(amount), currency) == text
