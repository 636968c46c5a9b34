"""What the night reads from a shop: one contract per table, and one folder of SQL per shop that fills them.

Belongs here: a source's columns, keys, rules and derived columns. Does not: how they are extracted or checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from include.contract import Source, Table, Type, dimensions_of
from include.contract.counted import COUNTED_FROM
from include.contract.families import check_needs
from include.sources.customers import CUSTOMERS
from include.sources.dimensions import with_dimensions
from include.sources.folder import check_files, is_read, perhaps
from include.sources.inventory import INVENTORY, NOT_WITH_BACKORDERS
from include.sources.inventory_counts import INVENTORY_COUNTS
from include.sources.inventory_movements import INVENTORY_MOVEMENTS
from include.sources.kit_components import KIT_COMPONENTS
from include.sources.order_items import ORDER_ITEMS, tolerance_of_parts
from include.sources.order_refunds import ORDER_REFUNDS
from include.sources.orders import ORDERS
from include.sources.payments import PAYMENTS
from include.sources.products import PRODUCTS
from include.sources.purchase_order_lines import PURCHASE_ORDER_LINES
from include.sources.refunds import REFUNDS
from include.sources.shipment_items import SHIPMENT_ITEMS
from include.sources.shop_file import Cancellations, ShopFile, read_toml
from include.sources.time import since
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
        SHIPMENT_ITEMS,
        INVENTORY,
        INVENTORY_MOVEMENTS,
        PURCHASE_ORDER_LINES,
        KIT_COMPONENTS,
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
        for name, kind in read_toml(file).items():
            if name not in types or kind not in (Type.INTEGER, Type.TEXT, Type.UUID):
                near = "" if name in types else perhaps(name, types)
                raise ValueError(f"{file}: {name} = {kind!r}: expected a source and one of integer, text, uuid{near}")
            types[name] = Type(str(kind))
    return types


def shop_sources(folder: Path) -> dict[str, Source]:
    """The sources that a shop has (a .sql file in its folder), with the shop's key types, as its .toml files say.

    Raises:
        ValueError: when a file belongs to nothing, or a .toml file says what it may not.
    """
    return dict(_of_shop(folder).read)


def shop_tables(tables: Iterable[Table], folder: Path) -> list[Table]:
    """Published tables as a shop has them: with its key types, its decimals and its dimensions.

    Raises:
        ContractError: when a dimension of the shop has the name of a column that a table has anyway.
        ValueError: when a .toml file says what it may not.
    """
    keys, said, dimensions = key_types(folder), ShopFile.of(folder), dimensions_of(shop_sources(folder))
    return [table.of_shop(keys, dimensions, said.decimals, said.unit_decimals) for table in tables]


def lake_sources(folder: Path) -> dict[str, Source]:
    """The sources of a shop whose rows are in the lake: those that are read, and those that are counted instead.

    Raises:
        ValueError: as ``shop_sources``.
    """
    return dict(_of_shop(folder).in_lake)


def counts(folder: Path) -> Table:
    """The counts that are kept of a shop's stock, with the shop's key types."""
    said = ShopFile.of(folder)
    return INVENTORY_COUNTS.typed(key_types(folder), said.decimals, said.unit_decimals)


@dataclass(frozen=True)
class _Shop:
    """What a shop's folder makes of the sources.

    Attributes:
        declared: the sources that it was made of.
        read: those that the shop has.
        in_lake: those whose rows are in the lake.
    """

    declared: tuple[Source, ...]
    read: Mapping[str, Source]
    in_lake: Mapping[str, Source]


def _of_shop(folder: Path) -> _Shop:
    """What a shop's folder makes of the sources; made again where a file of the folder, or a declaration, is another.

    Every step of a night asks several times, and making it takes 30 ms.
    """
    files = tuple(
        (file.name, file.read_bytes())
        for file in sorted(folder.glob("[!.]*"))
        if file.suffix.lower() in (".sql", ".toml")
    )
    return _made(folder, files, tuple(map(id, SOURCES.values())))


@lru_cache(maxsize=64)  # shops of a deployment
def _made(
    folder: Path,
    files: tuple[tuple[str, bytes], ...],  # noqa: ARG001 # these two only tell one state from another
    declared: tuple[int, ...],  # noqa: ARG001 # ids stay taken: what is made holds on to the sources
) -> _Shop:
    check_files(folder, SOURCES)
    known = _all_sources(folder)
    has = {name: source for name, source in known.items() if source.optional or _is_read(folder, name)}
    read = with_dimensions(has, folder)
    counted = {
        name: replace(known[name], counted=True)
        for name, state in COUNTED_FROM.items()
        if state in read and name not in read
    }
    return _Shop(tuple(SOURCES.values()), read, read | counted)


def _all_sources(folder: Path) -> dict[str, Source]:
    """Every source, read or not, as the shop's keys.toml and shop.toml say it is."""
    said, keys = ShopFile.of(folder), key_types(folder)
    # What is counted instead of read is ours, with the key that is declared.
    keys = {owner: kind for owner, kind in keys.items() if owner not in COUNTED_FROM or _is_read(folder, owner)}
    found = {name: source.typed(keys, said.decimals, said.unit_decimals) for name, source in SOURCES.items()}
    if said.rounding:
        found = {name: source.rounded(said.rounding) for name, source in found.items()}
    if said.unit_decimals:
        tolerance = tolerance_of_parts(said.unit_decimals)
        found["order_items"] = found["order_items"].deriving("subtotal_tolerance", tolerance)
    if said.backorders:
        found["inventory"] = found["inventory"].without(NOT_WITH_BACKORDERS)
    if said.cancellations is Cancellations.RETURNS:
        found["orders"] = found["orders"].deriving("voided_on", "null")
    if not _is_read(folder, "shipment_items"):
        # A shop that records no shipments has shipped all the same.
        found["orders"] = found["orders"].deriving("shipments", "null")
    return {name: since(source, said.first_day) for name, source in found.items()}


def _is_read(folder: Path, source: str) -> bool:
    return source in SOURCES and is_read(folder, SOURCES[source])


def _has_single_column_key(source: Source) -> bool:
    return len(source.primary_key) == 1
