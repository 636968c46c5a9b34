"""``shop.toml`` in a shop's folder: what a shop does that its statements cannot say."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from include.contract import Rounding
from include.contract.types import DECIMALS, UNIT_DECIMALS
from include.sources.folder import perhaps
from include.sources.time import FIRST_DAY


class Cancellations(StrEnum):
    """What an order that is cancelled is to the day on which it was placed."""

    VOID = "void"  # no sale, on no day: the past is written again
    RETURNS = "returns"  # a sale all the same, and a return on the day of its cancelling: no past day changes


@dataclass(frozen=True)
class ShopFile:
    """What a shop's ``shop.toml`` says; what it leaves out is as here.

    Attributes:
        decimals: of every amount, in the lake and in the warehouse: those of the shop's currency that has most. An
            amount of a currency that has fewer is a whole number of its smallest unit all the same.
        rounding: how amounts that are finer than that are rounded; None where they are refused. Where they are
            rounded, an amount may differ from the sum of its parts by half a smallest unit of its currency for each
            part and for itself.
        unit_decimals: of every quantity, in the lake and in the warehouse: 0 where units are whole, 3 where what is
            sold by weight has grams and is counted in kilograms.
        backorders: whether more may be reserved on a shelf than lies there.
        first_day: the day before which nothing can have happened.
        cancellations: what a cancelled order is to the day on which it was placed.
    """

    decimals: int = DECIMALS
    rounding: Rounding | None = None
    unit_decimals: int = UNIT_DECIMALS
    backorders: bool = False
    first_day: date = FIRST_DAY
    cancellations: Cancellations = Cancellations.VOID

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Read the file; without one, everything is as by default.

        Args:
            folder: the shop's folder of .sql files.

        Raises:
            ValueError: naming the file, and the table, key or value that it may not have.
        """
        file = folder / "shop.toml"
        if not file.exists():
            return cls()
        said: dict[str, Any] = {}
        for table, keys in read_toml(file).items():
            if table not in _KEYS:
                may = _listed(f"[{one}]" for one in _KEYS)
                raise ValueError(f"{file}: {table} is unknown; it may have {may}{perhaps(table, _KEYS)}")
            if not isinstance(keys, dict) or not keys:
                raise ValueError(f"{file}: [{table}] says nothing; it may have {_listed(_KEYS[table])}")
            for key, value in keys.items():
                if key not in _KEYS[table]:
                    may, near = _listed(_KEYS[table]), perhaps(key, _KEYS[table])
                    raise ValueError(f"{file}: [{table}] {key} is unknown; it may have {may}{near}")
                said[_FIELDS.get((table, key), key)] = _value(file, f"[{table}] {key}", value, _KEYS[table][key])
        return cls(**said)


# By table and key, the values that are known, as the file writes them, and what each means; empty where it is any day.
_KEYS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "money": {
        "decimals": {str(one): one for one in sorted({0, 3, DECIMALS})},
        "rounding": {f'"{one}"': one for one in Rounding},
    },
    "units": {"decimals": {str(one): one for one in range(4)}},
    "stock": {"backorders": {"true": True, "false": False}},
    "trade": {"first_day": {}, "cancellations": {f'"{one}"': one for one in Cancellations}},
}

# What a key is called here, where that is not its name.
_FIELDS: Final[Mapping[tuple[str, str], str]] = {("units", "decimals"): "unit_decimals"}


def read_toml(file: Path) -> dict[str, object]:
    """A file of a shop's folder.

    Raises:
        ValueError: when it is not valid TOML; it names the file.
    """
    try:
        return tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file}: {error}") from error


def _value(file: Path, name: str, value: object, known: Mapping[str, Any]) -> Any:
    # Not by equality alone: 1 is not true.
    for meant in known.values():
        if value == meant and isinstance(value, bool) == isinstance(meant, bool):
            return meant
    if not known and type(value) is date:
        return value
    raise ValueError(f"{file}: {name} = {value!r}: expected {' or '.join(known) or 'a day, such as 1980-01-01'}")


def _listed(names: Any) -> str:
    return ", ".join(names)
