"""``dimensions.toml`` in a shop's folder: what its sales can be grouped by that not every shop has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from include.contract import Column, Derived, Dimension, Source, Type, dimensions_of
from include.sources.folder import perhaps
from include.sources.reserved_words import RESERVED_WORDS
from include.sources.shop_file import read_toml

FILE: Final = "dimensions.toml"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_LONGEST: Final = 40  # with its source's name before it, what Postgres takes for a name: 63
_KEYS: Final = ("source", "column", "meaning")
# By source, whose rows in the lake get the values, and by which key; a row of its own has them already.
_CARRIED_BY: Final[Mapping[str, tuple[str, str] | None]] = {
    "orders": None,
    "order_items": None,
    "customers": ("orders", "customer_id"),
    "products": ("order_items", "product_id"),
    "warehouses": ("order_items", "warehouse_id"),
}
# Columns that are no dimension, and why.
_NO_DIMENSION: Final[Mapping[tuple[str, str], str]] = {
    ("orders", "status"): "it changes from day to day, and a past day would have that of now",
    ("orders", "cancelled_by"): "it is not known on the day of the order",
    ("orders", "cancellation_reason"): "it is not known on the day of the order",
    ("customers", "email"): "it is personal, and every analyst would read it",
    ("customers", "name"): "it is personal, and every analyst would read it",
}


@dataclass(frozen=True)
class _Declared:
    """A table of the file."""

    name: str
    source: str
    column: str
    meaning: str


def with_dimensions(sources: Mapping[str, Source], folder: Path) -> dict[str, Source]:
    """The sources of a shop with the columns and dimensions that its ``dimensions.toml`` declares, if there is one.

    A column that a source has not is read of its statement. Values of a customer are on the customer's orders, those of
    a product or a warehouse on its order lines.

    Args:
        sources: the shop's sources.
        folder: the shop's folder of .sql files.

    Raises:
        ValueError: naming the file, and the table, key or value that it may not have.
    """
    found, file = dict(sources), folder / FILE
    if not file.exists():
        return found
    taken = {one.name: "every shop has it" for one in dimensions_of(found)}
    columns = {(name, one.column): one.name for name in sources for one in sources[name].dimensions}
    for name, said in read_toml(file).items():
        one = _declared(file, name, said)
        if name in taken:
            raise ValueError(f"{file}: [{name}] is not to be declared: {taken[name]}")
        if one.source not in found:
            raise ValueError(f"{file}: [{name}] source = {one.source!r}: the folder has no {one.source}.sql")
        if other := columns.get((one.source, one.column)):
            raise ValueError(f"{file}: [{name}] column = {one.column!r}: that is the dimension {other} already")
        columns[one.source, one.column] = name
        _add(file, found, one)
    return found


def _declared(file: Path, name: str, said: object) -> _Declared:
    """One table of the file, with the keys that it must have."""
    _check_name(f"{file}: [{name}]", name)
    if not isinstance(said, dict):
        raise ValueError(f"{file}: {name} is no table; write [{name}] with {', '.join(_KEYS)}")
    values: dict[str, Any] = {"column": name} | said
    if unknown := sorted(set(values) - set(_KEYS)):
        near = perhaps(unknown[0], _KEYS)
        raise ValueError(f"{file}: [{name}] {unknown[0]} is unknown; it may have {', '.join(_KEYS)}{near}")
    for key in _KEYS:
        if not isinstance(values.get(key), str) or not values[key]:
            raise ValueError(f"{file}: [{name}] {key} = {values.get(key)!r}: expected a text")
    if values["source"] not in _CARRIED_BY:
        expected = " or ".join(f'"{one}"' for one in _CARRIED_BY)
        near = perhaps(values["source"], _CARRIED_BY)
        raise ValueError(f"{file}: [{name}] source = {values['source']!r}: expected {expected}{near}")
    _check_name(f"{file}: [{name}] column = {values['column']!r}", values["column"])
    if why := _NO_DIMENSION.get((values["source"], values["column"])):
        raise ValueError(f"{file}: [{name}] column = {values['column']!r}: {why}")
    return _Declared(name, **values)


def _check_name(where: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{where}: a name is lower-case snake_case")
    if len(name) > _LONGEST:
        raise ValueError(f"{where}: a name has at most {_LONGEST} letters")
    if name in RESERVED_WORDS:
        raise ValueError(f"{where}: {name} is a word of SQL: choose another name")


def _add(file: Path, sources: dict[str, Source], one: _Declared) -> None:
    """Add a dimension to the source whose rows have its values, and the columns on the way there."""
    source = sources[one.source]
    known = next((column for column in source.lake_columns if one.column in (column.name, column.lake_name)), None)
    if known is None:
        source = source.with_column(Column(one.column, Type.TEXT, one.meaning, nullable=True))
    elif known.type is not Type.TEXT or known not in source.columns:
        texts = ", ".join(column.name for column in source.columns if column.type is Type.TEXT)
        raise ValueError(
            f"{file}: [{one.name}] column = {one.column!r}: {one.source} has it, and it is no text that the statement"
            f" gives; the texts are {texts}; or have the statement give it under another name"
        )
    sources[one.source] = source
    holder, column = one.source, one.column
    if carried := _CARRIED_BY[one.source]:
        (holder, key), column = carried, f"{one.source}_{one.column}"
        if holder not in sources:
            return
        derived = Derived(
            Column(column, Type.TEXT, one.meaning, nullable=True),
            f"(select min(other.{one.column}) from {one.source} as other where other.{key} = row.{key})",
            needs=(one.source,),
            through={one.source: key},
        )
        sources[holder] = sources[holder].with_column(derived)
    dimension = Dimension(one.name, column, one.meaning, of_line=holder == "order_items")
    sources[holder] = sources[holder].with_dimension(dimension)
