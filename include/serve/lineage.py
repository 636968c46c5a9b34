"""Where rows come from and go to: the shop's tables, the sources that read them, and the tables made of those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from include.serve import figures
from include.settings import settings
from include.sources import SOURCES, shop_sources
from include.sources.shop_file import read_toml
from transforms.registry import TABLES

SHOP: Final = "shop."  # before the name of a table or view of the shop: shop.public.orders


class Kind(StrEnum):
    """What a node of the lineage is."""

    SHOP = "shop"
    SOURCE = "source"
    REPORTING = "reporting"
    FEATURES = "features"


@dataclass(frozen=True)
class Lineage:
    """Tables, and which of them is made from which.

    Attributes:
        nodes: by name (``shop.public.orders``, ``source.orders``, ``reporting.orders``), what it is.
        edges: pairs of names: rows flow from the first to the second.
    """

    nodes: Mapping[str, Kind]
    edges: tuple[tuple[str, str], ...]

    @cached_property
    def made_from(self) -> Mapping[str, tuple[str, ...]]:
        """By name, what it is made from directly."""
        return {name: tuple(one for one, other in self.edges if other == name) for name in self.nodes}

    @cached_property
    def used_by(self) -> Mapping[str, tuple[str, ...]]:
        """By name, what is made from it directly."""
        return {name: tuple(other for one, other in self.edges if one == name) for name in self.nodes}


def made_from(name: str) -> list[str]:
    """What a published table is made from directly, as its build says.

    Args:
        name: the table, without its schema.
    """
    inputs = [
        TABLES[one.name].table.qualified_name if one.is_published else f"source.{one.source}"
        for one in TABLES[name].inputs
    ]
    return list(dict.fromkeys(inputs))  # a source and its versions are one


def lineage(read: Mapping[str, Iterable[str]]) -> Lineage:
    """All of it.

    Args:
        read: by source, the shop's tables that its statement reads.
    """
    edges = [
        (f"{SHOP}{relation}", f"source.{source}")
        for source, relations in sorted(read.items())
        if source in SOURCES
        for relation in sorted(relations)
    ]
    edges += [(one, table.table.qualified_name) for name, table in TABLES.items() for one in made_from(name)]
    published = {one.table.qualified_name: Kind(one.table.schema) for one in TABLES.values()}
    kinds = {
        name: Kind.SHOP if name.startswith(SHOP) else Kind.SOURCE
        for edge in edges
        for name in edge
        if name not in published
    }
    return Lineage(kinds | published, tuple(edges))


def relations_of_shop() -> dict[str, dict[str, dict[str, str]]]:
    """By source, the shop's tables and views that it reads, and by those their columns with their types.

    As the shop's folder expects them, else as a night found them; empty before the first night where it expects none.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
        ValueError: when the folder's file is not valid TOML.
    """
    sources = shop_sources(settings().sources)
    file = settings().sources / "schema.toml"
    if file.exists():
        said: Any = read_toml(file)
        found = {
            source: {name: dict(said[name]["columns"]) for name in relations if name in said}
            for source, relations in said["reads"].items()
        }
    else:
        found = figures.relations()
    return {source: relations for source, relations in found.items() if source in sources}
