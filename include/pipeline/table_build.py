"""The step that builds one table: of a night, a replay or a DAG of some tables; what comes of it is in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from zlib import crc32

import duckdb

from include.build.definition import definition
from include.build.digest import digest_of, first_difference
from include.build.incremental import Inputs
from include.build.materialize import materialize
from include.build.resources import resources_of
from include.contract import ContractError, Table
from include.contract.types import day_number
from include.lake import duckdb_session as duck
from include.lake import merge
from include.lake import tables as lake
from include.lake.scratch import Scratch, scratch
from include.ledger import builds, copies, runs
from include.ledger.runs import Run
from include.pipeline.first_day import first_day
from include.pipeline.run_request import WrongRequest
from include.pipeline.stages import stage
from include.settings import settings
from include.sources import lake_sources


def build(
    run_id: str,
    table: Table,
    inputs: Mapping[str, tuple[str, str]],
    sources: Iterable[str],
    builder: Callable[..., Any],
    code: str,
) -> int:
    """Build one table from the versions that this run made, commit it to the lake and enter it in the ledger.

    A table that is rebuilt by a column continues from its last build: only what the changed inputs touch is computed.

    Args:
        run_id: the run.
        table: the table.
        inputs: for each of its build's parameters, the layer and the name of the table it names.
        sources: the sources it is made from, directly or through other tables.
        builder: what turns files of the inputs into files of the table: ``transforms.build.build``.
        code: a digest of the code that decides the table's rows; with another one it is built in full.

    Returns:
        Its rows: of the whole table, or of the night's slice.
    """
    run = runs.find_run(run_id)
    with stage(run_id, f"build {table.name}"), builds.alone(table):
        known = lake_sources(settings().sources)
        defined = definition(code, [known[name] for name in sources])
        if table.rebuild.kind == "as_of":
            return _build_slice(run, table, inputs_of(run, table, inputs, sources), builder, defined)
        return _build_table(run, table, inputs_of(run, table, inputs, sources), builder, defined)


def remove_slice(run_id: str, table: Table) -> int:
    """Remove the slice of a run's night from a table in the lake.

    Returns:
        The version without it.
    """
    run = runs.find_run(run_id)
    with stage(run_id, f"remove {table.name}"), builds.alone(table):
        defined = builds.last_definition(table)
        with duck.session() as connection:
            version = _commit_slice(connection, run, table, duck.relation([], table.lake_columns))
        builds.record(run, table, "duckdb", version, 0, digest_of([], table), {}, defined or "")
    return version


def _commit_slice(connection: duckdb.DuckDBPyConnection, run: Run, table: Table, rows: str) -> int:
    return merge.commit_slice(
        connection,
        table.schema,
        table.name,
        table.lake_columns,
        [table[name].lake_name for name in table.primary_key],
        rows,
        (table.rebuild.column or "", day_number(table.rebuild.slice_of(run.night))),
    )


def _build_slice(run: Run, table: Table, inputs: Inputs, builder: Callable[..., Any], defined: str) -> int:
    """Build the night's slice of a table; its other slices stay."""
    with scratch(table.schema, table.name) as room, duck.session() as connection:
        made = _make(run, table, builder, inputs.all_files, room)
        digest = digest_of(made.files, made.table)
        rows = duck.relation([str(file) for file in made.files], made.table.lake_columns)
        version = _commit_slice(connection, run, made.table, rows)
    builds.record(run, table, made.engine, version, made.rows, digest, inputs.by_table, defined)
    return int(made.rows)


def _build_table(run: Run, table: Table, inputs: Inputs, builder: Callable[..., Any], defined: str) -> int:
    """Build and commit the rows of a table that may have changed since its last build."""
    base = builds.find_base(run, table, lake.settled_version(table.schema, table.name), defined)
    make = partial(_make, run, table, builder)
    kept = materialize(table, inputs, base, run.horizon, lake_sources(settings().sources), make)
    builds.record(run, table, kept.engine, kept.version, kept.rows, kept.digest, inputs.by_table, defined)
    return kept.rows


def _make(
    run: Run,
    table: Table,
    builder: Callable[..., Any],
    files: Mapping[str, Sequence[str]],
    room: Scratch,
) -> Any:
    """Have a table built, and if this night compares it, a second time."""
    resources = resources_of(room)
    build_on = partial(
        builder,
        table.name,
        files,
        lake_sources(settings().sources),
        as_of=day_number(run.night if table.rebuild.kind == "as_of" else run.horizon),
        first_day=partial(calendar_from, run),
        resources=resources,
    )
    made = build_on(engine=run.engine, into=room.here / "first")
    if run.parity and _is_sampled(run, table):
        alone = replace(resources, engine_fallback=None)  # another engine would prove nothing
        _compare(run, made, build_on(engine=run.parity, into=room.here / "second", resources=alone))
    return made


def calendar_from(run: Run) -> int:
    """The first day of the calendar, as a day number; the data-through date of a shop without a day."""
    return day_number(first_day(run.run_id) or run.horizon)


def inputs_of(run: Run, table: Table, inputs: Mapping[str, tuple[str, str]], sources: Iterable[str]) -> Inputs:
    """What a table is built from.

    The published tables go to the horizon. A slice of an earlier day must not know what they know: it is built from the
    sources alone, and so is what it needs of them. So is a table that needs one which the night does not publish.

    Raises:
        WrongRequest: when the lake is of a release that kept no versions, and no night has run since.
    """
    sources = sorted(sources)
    history = _versions_of(sources)
    versions = {"clean": copies.clean_versions(run.run_id) | history, **builds.versions(run)}
    if unknown := sorted(name for layer, name in inputs.values() if layer == "clean" and name not in versions["clean"]):
        raise WrongRequest(f"the lake has no {', '.join(unknown)} yet: run nightly first")
    known = all(name in versions.get(layer, {}) for layer, name in inputs.values())
    is_earlier = table.rebuild.kind == "as_of" and run.night != run.horizon
    if is_earlier or not known:
        inputs = {name: ("clean", name) for name in (*sources, *history)}
    return Inputs(inputs, {parameter: versions[layer][name] for parameter, (layer, name) in inputs.items()})


def _versions_of(sources: Iterable[str]) -> dict[str, int]:
    """The latest versions of what lake/clean keeps of the history of sources; none before a night has written it.

    The latest serve every run: a published day does not change in them, and later ones are left out.
    """
    known = lake_sources(settings().sources)
    names = [known[source].versions.name for source in sources if known[source].history]
    return {name: version for name in names if (version := lake.version("clean", name)) is not None}


def _is_sampled(run: Run, table: Table) -> bool:
    """Whether a table is one of the night's ``parity_percent``: other tables each night, the same for a retry."""
    drawn = crc32(f"{run.night} {table.qualified_name}".encode()) % 100
    return drawn < settings().parity_percent


def _compare(run: Run, one: Any, other: Any) -> None:
    """Enter whether two builds of a table are equal.

    Raises:
        ContractError: naming the first row and column that differ: one of the engines is wrong, and which is unknown.
    """
    difference = first_difference(one.files, other.files, one.table, (one.engine, other.engine))
    builds.record_parity(run.run_id, one.table, one.engine, other.engine, difference)
    if difference:
        raise ContractError(f"two engines disagree; nothing is published. {difference}")
