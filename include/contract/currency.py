"""ISO 4217: the currencies in circulation, and how many decimals each has."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from include.contract.types import DECIMALS

# ISO 4217 codes of money in circulation.
_CODES: Final = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
    CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
    GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD
    KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO
    NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE
    SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV
    WST XAF XCD XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES: Final = tuple(_CODES.split())

# ISO 4217's minor units, where they are not two decimals.
_NONE: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE: Final = "BHD IQD JOD KWD LYD OMR TND"
_DECIMALS: Final = dict.fromkeys(_NONE.split(), 0) | dict.fromkeys(_THREE.split(), 3)


def decimals_of(currency: str) -> int:
    """How many decimals a currency's amounts have, by ISO 4217: 0 in yen, 3 in Kuwaiti dinars, 2 in most."""
    return _DECIMALS.get(currency, 2)


# In the SQL of a derived column; ``Source.typed`` writes the shop's own number there.
SHOP_DECIMALS: Final = f"{DECIMALS} /* decimals */"

# The body of the macro ``smallest_unit(currency, decimals)``.
SMALLEST_UNIT: Final = """
(
    10 ** greatest(
        0, decimals - case when currency in ({none}) then 0 when currency in ({three}) then 3 else 2 end
    )
)::bigint
""".format(
    none=", ".join(f"'{code}'" for code in _NONE.split()), three=", ".join(f"'{code}'" for code in _THREE.split())
)


def smallest_unit(currency: str) -> str:
    """A DuckDB expression: the smallest unit of a currency, in minor units of the lake; 1 where those are coarser.

    Args:
        currency: an expression of its ISO 4217 code.
    """
    return f"smallest_unit({currency}, {SHOP_DECIMALS})"


def written(amount: Decimal, currency: str) -> str:
    """An amount as a person reads it, such as ``1,234.50``: with its currency's decimals, or with more it has."""
    exponent = amount.normalize().as_tuple().exponent
    return f"{amount:,.{max(decimals_of(currency), -exponent if isinstance(exponent, int) else 0)}f}"
