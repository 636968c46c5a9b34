"""Which tables are published, what each is made from, and in which order they can be built."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Final

from include.contract import Table
from transforms.engines import Frame
from transforms.features import customer_activity, customer_labels, demand_labels, inventory_risk, product_demand
from transforms.reporting import (
    customer_cohorts,
    customer_rfm,
    customers,
    daily_product_sales,
    daily_sales,
    fulfilment_daily,
    inventory_daily,
    inventory_health,
    order_lines,
    orders,
    product_abc_xyz,
    products,
    refunds_daily,
    stockouts,
)

# Parameters of a build that are no tables: the last whole day, and the frame of days up to it.
SPECIAL: Final = ("as_of", "calendar")

# Published tables that share a name with a source: a parameter means the source, `reporting_…` the published table.
_ALSO_SOURCES: Final = frozenset({"orders", "customers", "products"})


@dataclass(frozen=True)
class Input:
    """One input table of a build.

    Attributes:
        parameter: what the build calls it.
        name: the table's name.
        is_published: whether it is a published table; else a source.
    """

    parameter: str
    name: str
    is_published: bool


@dataclass(frozen=True)
class Published:
    """A published table and the function that makes it.

    Attributes:
        table: what it means; key types are the sources' declared ones until ``table.typed``.
        build: from input frames, named as its parameters, to the table's frame.
    """

    table: Table
    build: Callable[..., Frame]

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Everything the build asks for."""
        return tuple(inspect.signature(self.build).parameters)

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The tables it is made from: its lineage."""
        return tuple(_input(parameter) for parameter in self.parameters if parameter not in SPECIAL)

    @property
    def layers(self) -> dict[str, tuple[str, str]]:
        """What its build reads: for each input by its parameter, the layer of the lake and the name of the table."""
        return {
            entry.parameter: (TABLES[entry.name].table.schema if entry.is_published else "clean", entry.name)
            for entry in self.inputs
        }

    @property
    def sources(self) -> frozenset[str]:
        """The shop's tables it is made from, however far back."""
        return frozenset().union(
            *(TABLES[entry.name].sources if entry.is_published else {entry.name} for entry in self.inputs)
        )


def _input(parameter: str) -> Input:
    for prefix in ("reporting_", "features_"):
        if parameter.startswith(prefix):
            return Input(parameter, parameter.removeprefix(prefix), is_published=True)
    return Input(parameter, parameter, is_published=parameter in TABLES and parameter not in _ALSO_SOURCES)


def _published(modules: Iterable[ModuleType]) -> dict[str, Published]:
    return {module.TABLE.name: Published(module.TABLE, module.build) for module in modules}


TABLES: Final[Mapping[str, Published]] = _published(
    (
        order_lines,
        orders,
        daily_sales,
        daily_product_sales,
        refunds_daily,
        products,
        product_abc_xyz,
        inventory_daily,
        inventory_health,
        stockouts,
        fulfilment_daily,
        customers,
        customer_rfm,
        customer_cohorts,
        customer_activity,
        customer_labels,
        product_demand,
        inventory_risk,
        demand_labels,
    )
)


@dataclass(frozen=True)
class Plan:
    """What a shop's sources allow.

    Attributes:
        tables: names, each after its inputs.
        left_out: for every other table, why.
    """

    tables: tuple[str, ...]
    left_out: Mapping[str, str]

    def of(self, schema: str) -> tuple[str, ...]:
        """The tables of one schema, in the same order."""
        return tuple(name for name in self.tables if TABLES[name].table.schema == schema)


def buildable(sources: Collection[str]) -> Plan:
    """The tables that can be built from the sources a shop has.

    Args:
        sources: the names of the sources that are present.
    """
    tables: list[str] = []
    left_out: dict[str, str] = {}
    for name in _ordered():
        lacking = [
            f"the shop has no source {entry.name}" if not entry.is_published else f"{entry.name} is left out"
            for entry in TABLES[name].inputs
            if (entry.name not in tables if entry.is_published else entry.name not in sources)
        ]
        if lacking:
            left_out[name] = "; ".join(lacking)
        else:
            tables.append(name)
    return Plan(tuple(tables), left_out)


def _ordered() -> list[str]:
    """Every table's name, after those of the published tables it is made from.

    Raises:
        graphlib.CycleError: when tables are made from each other.
        KeyError: naming a published input that is in no registry.
    """
    from graphlib import TopologicalSorter

    needs = {name: [entry.name for entry in one.inputs if entry.is_published] for name, one in TABLES.items()}
    ordered = list(TopologicalSorter(needs).static_order())
    if unknown := sorted(set(ordered) - set(TABLES)):
        raise KeyError(f"no published table is called {', '.join(unknown)}")
    return ordered
