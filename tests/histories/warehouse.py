"""Small shops' tables in a real lake: brought up night by night as ``pipeline.nightly`` does, and built anew."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa

from include.build.digest import digest_of, first_difference
from include.build.incremental import Inputs
from include.build.materialize import Materialized, materialize
from include.contract import Derived, Dimension, Source, Table, dimensions_of
from include.contract.arrow import arrow_schema
from include.contract.types import day_number
from include.gate import versions
from include.gate.versions import FoundOn
from include.lake import duckdb_session as duck
from include.lake import merge
from include.lake import tables as lake
from include.ledger.builds import Build
from include.sources import SOURCES, shop_sources
from tests.histories.shops import READ, Row
from transforms.build import build
from transforms.registry import TABLES, buildable

# The codes of discounts are dimensions too: of orders, and of lines.
SHOP: Final = {
    **SOURCES,
    "orders": SOURCES["orders"].with_dimension(Dimension("code_of_order", "discount_code", "The order's code.")),
    "order_items": SOURCES["order_items"].with_dimension(
        Dimension("code_of_line", "discount_code", "The line's code.", of_line=True)
    ),
}
NAMES: Final = tuple(name for name in buildable(READ).tables if TABLES[name].table.rebuild.kind == "by")


def write_sources(
    tables: Mapping[str, Sequence[Row]], cancellations: str, unit_decimals: int = 0, *, found_on: FoundOn
) -> None:
    """Bring lake/clean up to what shops hold, as the gate does: with derived columns, less what is held.

    Args:
        tables: by source, rows by lake name; ``_held`` says whether one is in quarantine.
        cancellations: what a cancelled order is, as a shop.toml says.
        unit_decimals: of their quantities, as it says too.
        found_on: from which days on holds what of kits is another than it was.
    """
    with TemporaryDirectory() as folder, duck.session() as connection:
        for name in READ:
            (Path(folder) / f"{name}.sql").touch()
        said = f'[trade]\ncancellations = "{cancellations}"\n[units]\ndecimals = {unit_decimals}\n'
        (Path(folder) / "shop.toml").write_text(said)
        sources = shop_sources(Path(folder))
        for name in READ:
            connection.register(name, pa.Table.from_pylist(list(tables[name]), _read_schema(sources[name])))
        connection.execute("create view known_orders as select null::bigint as order_id, 0 as highest_status_step")
        for name in READ:
            source = sources[name]
            own = [f"row.{column.lake_name}" for column in source.columns]
            early, late = (
                [f"{_sql(one)} as {one.column.lake_name}" for one in source.all_derived if one.is_late is is_late]
                for is_late in (False, True)
            )
            connection.execute(
                f"""
                create temp table now_{name} as
                select {", ".join(["*", *late])}
                from (select {", ".join(own + early)} from {name} as row where not _held) as row
                """
            )
            merge.commit(connection, "clean", name, source.lake_columns, source.primary_key, f"now_{name}")
        connection.execute("create view clean_kit_components as select * from now_kit_components")
        connection.execute("create view held_kit_components as select * from now_kit_components where false")
        versions.keep(connection, [sources["kit_components"]], found_on)


def table_of(name: str, unit_decimals: int = 0) -> Table:
    """A published table as these shops have it."""
    return TABLES[name].table.of_shop({}, dimensions_of(SHOP), unit_decimals=unit_decimals)


def _read_schema(source: Source) -> pa.Schema:
    fields = {field.name: field for field in arrow_schema(source)}
    return pa.schema([*(fields[column.lake_name] for column in source.columns), pa.field("_held", pa.bool_())])


def _sql(derived: Derived) -> str:
    is_known = all(need in READ for need in derived.needs)
    return f"try_cast({derived.whole_sql if is_known else 'null'} as {derived.column.type.duckdb})"


@dataclass
class Warehouse:
    """The published tables of the lake, and what its ledger would know of them.

    Attributes:
        first_day: the first day of the calendar.
        scratch: a folder to build in.
        bases: per table, the build that made its latest version.
        unit_decimals: of the quantities of its shops.
    """

    first_day: date
    scratch: Path
    bases: dict[str, Build] = field(default_factory=dict)
    unit_decimals: int = 0
    _folders: int = 0

    def bring_up(self, name: str, horizon: date, *, anew: bool) -> Materialized:
        """Bring a table up to its inputs in the lake."""
        layers = TABLES[name].layers
        inputs = Inputs(layers, {parameter: lake.version(*place) or 0 for parameter, place in layers.items()})
        kept = materialize(
            table_of(name, self.unit_decimals),
            inputs,
            None if anew else self.bases.get(name),
            horizon,
            self._shop,
            lambda files, _: self._build(name, files, horizon),
        )
        self.bases[name] = Build(kept.version, inputs.by_table, horizon, kept.digest)
        return kept

    def first_difference(self, horizon: date, went_on: Collection[str]) -> str | None:
        """Where the tables in the lake, or the digests that were followed, are not those of a full rebuild.

        Args:
            horizon: the last whole day that they cover.
            went_on: the tables to build anew. Any other was built whole just now, of inputs that are compared before
                it: there is nothing else that a full rebuild would do.
        """
        files: dict[str, list[str]] = {}
        for name in NAMES:
            table, layers = table_of(name, self.unit_decimals), TABLES[name].layers
            stored = lake.files(table.schema, name, self.bases[name].version)
            anew = stored
            if name in went_on:
                read = {
                    parameter: files.get(f"{layer}.{of}") or lake.files(layer, of)
                    for parameter, (layer, of) in layers.items()
                }
                anew = [str(file) for file in self._build(name, read, horizon).files]
            digests = digest_of(anew, table), self.bases[name].digest, digest_of(stored, table)
            if len(set(digests)) > 1:
                differing = first_difference(stored, anew, table, ("the lake", "a full rebuild"))
                return differing or f"{name}: the digests of full rebuild, ledger and lake are {', '.join(digests)}"
            files[f"{table.schema}.{name}"] = anew
        return None

    @property
    def _shop(self) -> dict[str, Source]:
        return {name: source.typed({}, unit_decimals=self.unit_decimals) for name, source in SHOP.items()}

    def _build(self, name: str, files: Mapping[str, Sequence[str]], horizon: date) -> Any:
        self._folders += 1
        return build(
            name,
            files,
            self._shop,
            as_of=day_number(horizon),
            first_day=lambda: day_number(self.first_day),
            engine="pandas",
            into=self.scratch / str(self._folders),
        )
