"""Numpy columns as Arrow arrays of the types that the shop's tables hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.demo_shop.history.calendar import Ints
from include.demo_shop.money import CURRENCIES

_THOUSANDTHS = np.array([int(one.smallest * 1000) for one in CURRENCIES.values()])  # of a currency's smallest unit


def whole(values: Ints, is_missing: NDArray[np.bool_] | None = None) -> Any:
    """Integers; null where missing."""
    return pa.array(values.astype(np.int64, copy=False), mask=is_missing)


def flags(values: NDArray[np.bool_]) -> Any:
    """Booleans."""
    return pa.array(values)


def money(smallest_units: Ints, currency: Ints | int, is_missing: NDArray[np.bool_] | None = None) -> Any:
    """Smallest units of currencies as decimals with three places, exactly; null where missing.

    A decimal is a 128-bit integer of its last place.
    """
    thousandths = smallest_units * _THOUSANDTHS[currency]
    wide = np.empty((len(thousandths), 2), dtype=np.int64)
    wide[:, 0] = thousandths
    wide[:, 1] = thousandths >> 63
    amounts = pa.Array.from_buffers(pa.decimal128(15, 3), len(wide), [None, pa.py_buffer(wide.tobytes())])
    return amounts if is_missing is None else pc.if_else(pa.array(is_missing), None, amounts)


def instants(microseconds: Ints, missing: int | None = None) -> Any:
    """µs since 1970 UTC as instants; `missing` becomes null."""
    mask = None if missing is None else microseconds == missing
    return pa.array(microseconds, type=pa.timestamp("us", "UTC"), mask=mask)


def words(codes: Ints, values: Sequence[str], is_missing: NDArray[np.bool_] | None = None) -> Any:
    """Text by index into a list of values; null where missing."""
    indices = pa.array(codes.astype(np.int32), mask=is_missing)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(values), pa.string())).cast(pa.string())


def joined(*parts: Any) -> Any:
    """Text made of texts, side by side."""
    return pc.binary_join_element_wise(*parts, "")


def text_of(numbers: Ints) -> Any:
    """Integers as decimal text."""
    return pa.array(numbers).cast(pa.string())
