"""The datasets of a task, by what it does: the name of its step says that in every DAG, the ledger what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import pyarrow.parquet as pq
from openlineage.client.event_v2 import InputDataset, OutputDataset

from include.contract import Table
from include.lake import storage
from include.ledger import copies, expectations, exports, runs
from include.ledger.made import built_tables, published_tables
from include.ledger.runs import Kind, Run
from include.lineage import columns
from include.lineage.datasets import (
    Origins,
    in_folder,
    in_lake,
    in_shop,
    in_warehouse,
    lake_schema,
    read,
    warehouse_schema,
    written,
)
from include.settings import settings
from include.sources import lake_sources, shop_sources, shop_tables
from transforms.registry import TABLES


@dataclass(frozen=True)
class Lineage:
    """What a task read and wrote."""

    inputs: list[InputDataset] = field(default_factory=list)
    outputs: list[OutputDataset] = field(default_factory=list)


def of_task(
    dag: str, run_id: str, task_id: str, form: Callable[[], Mapping[str, Any]], *, failed: bool = False
) -> Lineage:
    """The datasets of a task of ours; none of one that only decides or waits.

    Args:
        dag: the task's DAG, as the ledger calls it.
        run_id: the task's run.
        task_id: the task, with its group: ``builds.orders``.
        form: gives what the run was asked, with the defaults.
        failed: whether it failed: then it is told what it read and what was checked, but nothing that it wrote.

    Raises:
        KeyError: when the ledger does not know the run.
    """
    step, _, of = task_id.partition(".")
    if step == "write":  # runs of these DAGs are not in the ledger
        found = _export(form()) if dag == exports.DAG else _training_set(run_id, form())
    elif step in _STEPS:
        found = _STEPS[step](runs.find_run(run_id), of)
    else:
        return Lineage()
    return Lineage(found.inputs) if failed else found


def _extract(run: Run, _: str) -> Lineage:
    """The shop's tables, into lake/raw."""
    tables: set[str] = set()
    outputs = []
    counted = {one["source"]: one["extracted"] for one in copies.accounts(run.run_id)}
    for name, source in shop_sources(settings().sources).items():
        of, origins = columns.of_source(source)
        tables |= set(of)
        schema = lake_schema(source.columns)
        outputs.append(written(in_lake("raw", name), schema, counted.get(name), origins, source.grain))
    return Lineage([read(in_shop(table)) for table in sorted(tables)], outputs)


def _validate(run: Run, name: str) -> Lineage:
    """A source's rows in lake/raw, of a replay those in quarantine, with what was checked of them."""
    source = shop_sources(settings().sources)[name]
    layer = "quarantine" if run.kind is Kind.REPLAY else "raw"
    outcomes = expectations.outcomes_of(run.run_id, source.qualified_name)
    return Lineage([read(in_lake(layer, name), None, outcomes, source)])


def _accept(run: Run, _: str) -> Lineage:
    """The checked rows, into lake/clean and the quarantine."""
    known, read_of = lake_sources(settings().sources), shop_sources(settings().sources)
    layer = "quarantine" if run.kind is Kind.REPLAY else "raw"
    inputs, outputs = [], []
    for one in copies.accounts(run.run_id):
        name = one["source"]
        if name not in known:
            continue
        source, clean = known[name], in_lake("clean", name)
        origins = columns.of_accepted(source) if name in read_of else {}
        schema = lake_schema(source.lake_columns)
        if name in read_of:
            inputs.append(read(in_lake(layer, name)))
            held = in_lake("quarantine", name)
            outputs.append(written(held, schema, one["quarantined"], origins, version=one["held_version"]))
        outputs.append(written(clean, schema, one["accepted"], origins, source.grain, one["clean_version"]))
    return Lineage(inputs, outputs)


def _build(run: Run, name: str) -> Lineage:
    """The tables of the lake that a table is built from, into its own."""
    built = [one for one in built_tables(run.run_id) if one.table_name == name]
    if not built:
        return Lineage([read(in_lake(*of)) for of in dict.fromkeys(TABLES[name].layers.values())])
    [one], [table] = built, _typed(name)
    versions = {(of.partition(".")[0], of.partition(".")[2]): version for of, version in (one.inputs or {}).items()}
    origins = columns.of_built(table, versions, lake_sources(settings().sources))
    place = in_lake(table.schema, name)
    return Lineage(
        [read(in_lake(*of), version) for of, version in versions.items()],
        [written(place, lake_schema(table.columns), one.rows, origins, table.grain, one.lake_version)],
    )


def _audit(run: Run, _: str) -> Lineage:
    """What was built, with what was checked of it."""
    built = built_tables(run.run_id)
    tables = _typed(*(one.table_name for one in built))
    outcomes = expectations.outcomes_by_table(run.run_id, [table.qualified_name for table in tables])
    return Lineage(
        [
            read(in_lake(table.schema, table.name), one.lake_version, outcomes[table.qualified_name], table)
            for one, table in zip(built, tables, strict=True)
        ]
    )


def _publish(run: Run, _: str) -> Lineage:
    """Versions of tables in the lake, into the warehouse: of tonight, or of the past night that is put back."""
    inputs, outputs = [], []
    published = [one for one in published_tables(run.run_id) if one.table_name in TABLES]
    for one, table in zip(published, _typed(*(one.table_name for one in published)), strict=True):
        inputs.append(read(in_lake(table.schema, table.name), one.lake_version))
        place = in_warehouse(table.schema, table.name)
        origins = columns.of_published(table)
        outputs.append(written(place, warehouse_schema(table.columns), one.inserted, origins, table.grain))
    return Lineage(inputs, outputs)


def _export(form: Mapping[str, Any]) -> Lineage:
    """A published table. The file is no dataset: it is for whoever asked for it, and expires."""
    export = exports.find(UUID(form["export"]))
    return Lineage([read(in_warehouse(*export.published_table.split(".")))] if export else [])


def _training_set(run_id: str, form: Mapping[str, Any]) -> Lineage:
    """Feature sets of the lake, into a file."""
    file = storage.in_lake("training_sets", f"{form['name'] or runs.slug(run_id)}.parquet")
    sets = sorted({wanted.partition(".")[0] for wanted in (*form["features"], *form["labels"])})
    inputs = [read(in_lake("features", name)) for name in sets]
    if form["entities_parquet"]:
        inputs.append(read(in_folder(form["entities_parquet"])))
    if not storage.exists(file):
        return Lineage(inputs)
    with storage.opened(file) as opened:
        made = pq.read_metadata(opened)
    schema = [(one.name, str(one.type), "") for one in made.schema.to_arrow_schema()]
    return Lineage(inputs, [written(in_folder(file), schema, made.num_rows, _of_sets(schema, sets))])


def _of_sets(schema: list[tuple[str, str, str]], sets: list[str]) -> Origins:
    """Per column of a training set that is a feature set's (``customer_activity__recency_days``), that one."""
    split = {name: name.partition("__") for name, *_ in schema}
    own = {name: {column.lake_name for column in TABLES[name].table.columns} for name in sets}
    return {
        name: [(in_lake("features", of), column)]
        for name, (of, _, column) in split.items()
        if of in own and column in own[of]
    }


def _typed(*names: str) -> list[Table]:
    """Tables as this shop has them, in this order."""
    return shop_tables([TABLES[name].table for name in names], settings().sources)


_STEPS: Final[Mapping[str, Callable[[Run, str], Lineage]]] = MappingProxyType(
    {
        "extract": _extract,
        "validates": _validate,
        "accept": _accept,
        "builds": _build,
        "audit": _audit,
        "publish": _publish,
    }
)
