"""What the night reads from a shop: one contract per table, and one folder of SQL per shop that fills them.

Belongs here: a source's columns, keys, rules and derived columns. Does not: how they are extracted or checked.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from include.contract import Rounding, Source, Type
from include.contract.families import check_needs
from include.sources.customers import CUSTOMERS
from include.sources.inventory import INVENTORY
from include.sources.inventory_movements import INVENTORY_MOVEMENTS
from include.sources.order_items import ORDER_ITEMS
from include.sources.order_refunds import ORDER_REFUNDS
from include.sources.orders import ORDERS
from include.sources.payments import PAYMENTS
from include.sources.products import PRODUCTS
from include.sources.refunds import REFUNDS
from include.sources.warehouses import WAREHOUSES

SOURCES: Final[Mapping[str, Source]] = {
    source.name: source
    for source in (
        CUSTOMERS,
        PRODUCTS,
        WAREHOUSES,
        ORDERS,
        ORDER_ITEMS,
        REFUNDS,
        ORDER_REFUNDS,
        PAYMENTS,
        INVENTORY,
        INVENTORY_MOVEMENTS,
    )
}
check_needs(SOURCES)


def key_types(folder: Path) -> dict[str, Type]:
    """The type of every source's single-column key in a shop.

    It is the declared type, unless the shop's folder has a ``keys.toml`` with lines such as ``orders = "uuid"``.

    Args:
        folder: the shop's folder of .sql files.

    Raises:
        ValueError: when the file is not valid TOML, or names an unknown source or type; it names the file.
    """
    types = {
        name: source[source.primary_key[0]].type for name, source in SOURCES.items() if _has_single_column_key(source)
    }
    file = folder / "keys.toml"
    if file.exists():
        for name, kind in _toml(file).items():
            if name not in types or kind not in (Type.INTEGER, Type.TEXT, Type.UUID):
                raise ValueError(f"{file}: {name} = {kind!r}: expected a source and one of integer, text, uuid")
            types[name] = Type(str(kind))
    return types


def rounding(folder: Path) -> Rounding | None:
    """How a shop's amounts that are finer than a cent are rounded; None where they are refused, as by default.

    The shop's folder says it in ``shop.toml``: ``rounding = "half_up"`` or ``"half_even"`` below ``[money]``. Then an
    amount may differ from the sum of its parts by half a cent for each part and half a cent for itself.

    Args:
        folder: the shop's folder of .sql files.

    Raises:
        ValueError: when the file is not valid TOML, or says something else; it names the file.
    """
    file = folder / "shop.toml"
    if not file.exists():
        return None
    declared = _toml(file)
    for one in Rounding:
        if declared == {"money": {"rounding": one}}:
            return one
    raise ValueError(f'{file}: expected [money] and below it rounding = "half_up" or "half_even", found {declared}')


def shop_sources(folder: Path) -> dict[str, Source]:
    """The sources that a shop has (a .sql file in its folder), with the shop's key types and rounding.

    Raises:
        ValueError: when a .sql file belongs to no source, or a .toml file says what it may not.
    """
    if unknown := sorted({file.stem for file in folder.glob("*.sql")} - set(SOURCES)):
        raise ValueError(f"{folder}: no source contract is called {', '.join(unknown)}")
    keys = key_types(folder)
    found = {
        name: source.typed(keys)
        for name, source in SOURCES.items()
        if source.optional or (folder / f"{name}.sql").exists()
    }
    rounded = rounding(folder)
    return {name: source.rounded(rounded) for name, source in found.items()} if rounded else found


def _toml(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file}: {error}") from error


def _has_single_column_key(source: Source) -> bool:
    return len(source.primary_key) == 1
