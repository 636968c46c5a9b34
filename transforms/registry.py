"""The registry of published tables: their inputs, and the order they are built in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Final

from include.contract import Table
from include.contract.counted import with_counted
from include.contract.source import VERSIONS
from transforms.definition import code_digest
from transforms.engines import Frame

# Every published table, in the order in which people read about them: a line is a file, transforms/<schema>/<name>.py.
_FILES: Final = (
    "reporting.order_lines",
    "reporting.orders",
    "reporting.daily_sales",
    "reporting.daily_sales_by",
    "reporting.daily_product_sales",
    "reporting.refunds_daily",
    "reporting.discounts",
    "reporting.payments_daily",
    "reporting.receivables_daily",
    "reporting.products",
    "reporting.products_history",
    "reporting.kit_components_history",
    "reporting.product_abc_xyz",
    "reporting.inventory_daily",
    "reporting.inventory_health",
    "reporting.stockouts",
    "reporting.incoming_stock",
    "reporting.kit_availability",
    "reporting.component_demand_daily",
    "reporting.fulfilment_daily",
    "reporting.shipments_daily",
    "reporting.warehouses_history",
    "reporting.customers",
    "reporting.customers_history",
    "reporting.customer_rfm",
    "reporting.customer_cohorts",
    "features.customer_activity",
    "features.customer_labels",
    "features.product_demand",
    "features.inventory_risk",
    "features.demand_labels",
)

# Parameters of a build that are no tables: the data-through date, the calendar up to it, how many of the lake's minor
# units are one unit of money, how many of its units of goods are one unit (1, where these are whole), and the shop's
# dimensions.
SPECIAL: Final = ("as_of", "calendar", "minor_units", "unit_parts", "dimensions")

# Published tables that share a name with a source: a parameter means the source, `reporting_…` the published table.
_ALSO_SOURCES: Final = frozenset({"orders", "customers", "products"})


@dataclass(frozen=True)
class Input:
    """One input table of a build.

    Attributes:
        parameter: the build's parameter.
        name: the table's name.
        is_published: whether it is a published table; otherwise it is a source, or the versions of one.
    """

    parameter: str
    name: str
    is_published: bool

    @property
    def is_versions(self) -> bool:
        """Whether it is the versions of a source (``products_versions``)."""
        return not self.is_published and self.name.endswith(VERSIONS)

    @property
    def source(self) -> str:
        """The source whose rows or versions it is."""
        return self.name.removesuffix(VERSIONS)


@dataclass(frozen=True)
class Published:
    """A published table and the function that makes it.

    Attributes:
        table: its declaration, with the sources' declared key types until ``table.typed``.
        build: takes input frames, by parameter name, and returns the table's frame.
    """

    table: Table
    build: Callable[..., Frame]

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The parameters of the build."""
        return tuple(inspect.signature(self.build).parameters)

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """Its input tables: its lineage."""
        return tuple(_input(parameter) for parameter in self.parameters if parameter not in SPECIAL)

    @property
    def code(self) -> str:
        """A digest of what decides its rows beside its inputs."""
        return code_digest(self.table, self.build)

    @property
    def layers(self) -> dict[str, tuple[str, str]]:
        """For each input parameter, the lake layer and the name of the table."""
        return {
            entry.parameter: (TABLES[entry.name].table.schema if entry.is_published else "clean", entry.name)
            for entry in self.inputs
        }

    @property
    def sources(self) -> frozenset[str]:
        """The sources it depends on, directly or not."""
        return frozenset().union(
            *(TABLES[entry.name].sources if entry.is_published else {entry.source} for entry in self.inputs)
        )


def _input(parameter: str) -> Input:
    for prefix in ("reporting_", "features_"):
        if parameter.startswith(prefix):
            return Input(parameter, parameter.removeprefix(prefix), is_published=True)
    return Input(parameter, parameter, is_published=parameter in TABLES and parameter not in _ALSO_SOURCES)


def _published(file: str) -> Published:
    module = import_module(f"transforms.{file}")
    return Published(module.TABLE, module.build)


TABLES: Final[Mapping[str, Published]] = {file.partition(".")[2]: _published(file) for file in _FILES}


@dataclass(frozen=True)
class Plan:
    """The tables that a shop's sources allow.

    Attributes:
        tables: names, each after its inputs.
        left_out: every other table, with the reason.
    """

    tables: tuple[str, ...]
    left_out: Mapping[str, str]

    def of(self, schema: str) -> tuple[str, ...]:
        """The tables of one schema, in the same order."""
        return tuple(name for name in self.tables if TABLES[name].table.schema == schema)


def buildable(sources: Collection[str]) -> Plan:
    """The tables that can be built from the sources a shop has.

    Args:
        sources: the names of the sources that are present; what is counted instead need not be among them.
    """
    tables: list[str] = []
    left_out: dict[str, str] = {}
    sources = with_counted(sources)
    for name in _ordered():
        lacking = [
            f"the shop has no source {entry.source}" if not entry.is_published else f"{entry.name} is left out"
            for entry in TABLES[name].inputs
            if (entry.name not in tables if entry.is_published else entry.source not in sources)
        ]
        if lacking:
            left_out[name] = "; ".join(lacking)
        else:
            tables.append(name)
    return Plan(tuple(tables), left_out)


def _ordered() -> list[str]:
    """All table names, each after the published tables that it depends on.

    Raises:
        graphlib.CycleError: when tables depend on each other.
        KeyError: naming a published input that is not registered.
    """
    from graphlib import TopologicalSorter

    needs = {name: [entry.name for entry in one.inputs if entry.is_published] for name, one in TABLES.items()}
    ordered = list(TopologicalSorter(needs).static_order())
    if unknown := sorted(set(ordered) - set(TABLES)):
        raise KeyError(f"no published table is called {', '.join(unknown)}")
    return ordered
