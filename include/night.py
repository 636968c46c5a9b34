"""The steps of a night, as Airflow's tasks and the tests call them. What passes between steps stands in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from include import duck, lake
from include import extract as extraction
from include.contract import ContractError, Severity, Source, Table
from include.contract.types import day_number
from include.ledger import entries as ledger
from include.ledger.entries import Run
from include.publish import Built
from include.publish import publish as publish_tables
from include.settings import settings
from include.sources import present


def begin(run: Run, tables: list[tuple[str, str, list[str], str | None]]) -> None:
    """Prepare the warehouse and enter the run.

    Args:
        run: the night's run; its horizon is moved on to what is published already, so that a run for an earlier day
            never takes later days away.
        tables: every table: (schema, name, sources it is made from, why this shop has none or None).
    """
    ledger.prepare()
    published = ledger.published_horizon()
    horizon = max(run.horizon, published) if published else run.horizon
    ledger.open_run(Run(run.run_id, run.night, horizon, run.engine, run.full_refresh, run.dry_run))
    ledger.record_tables(tables)


def extract(run_id: str) -> dict[str, int]:
    """Read what changed since the watermark, less the overlap, or everything; all sources in one snapshot.

    Returns:
        Rows read, per source.
    """
    run = ledger.find_run(run_id)
    with ledger.stage(run_id, "extract"):
        sources = present(settings().sources)
        changed_since = _windows(run, sources)
        read = extraction.extract(sources, changed_since, run.slug)
        ledger.record_extracted(run_id, read.snapshot_at, changed_since, read.extracted, read.source_rows)
    return dict(read.extracted)


def validate(run_id: str, name: str) -> dict[str, int]:
    """Judge tonight's rows of one source.

    Returns:
        Broken rows, per rule that was broken.
    """
    from include.validate.judgement import judge

    run = ledger.find_run(run_id)
    snapshot_at, since = ledger.snapshot_of(run_id)
    sources = present(settings().sources)
    with ledger.stage(run_id, f"validate {name}"):
        outcomes = judge(sources, name, run.slug, _full(since), snapshot_at.isoformat())
        ledger.record_outcomes(run_id, sources[name].qualified_name, outcomes)
    return {outcome.rule.name: outcome.broken for outcome in outcomes if outcome.broken}


def accept(run_id: str) -> dict[str, dict[str, int]]:
    """Merge accepted rows into lake/clean, put rejected ones into quarantine, or stop the night.

    Returns:
        Per source what happened, in rows.
    """
    from include.validate.acceptance import accept as accept_rows

    run = ledger.find_run(run_id)
    _, since = ledger.snapshot_of(run_id)
    sources = present(settings().sources)
    with ledger.stage(run_id, "accept"):
        broken = {name: ledger.outcomes_of(run_id, source.qualified_name) for name, source in sources.items()}
        counts = accept_rows(sources, broken, run.slug, _full(since))
        ledger.record_accepted(run_id, counts)
    return counts


def input_files(run_id: str, inputs: Mapping[str, tuple[str, str | None]]) -> dict[str, list[str]]:
    """The Parquet files of a build's inputs, at the versions this run made.

    Args:
        run_id: the run.
        inputs: per parameter, the table's name and its schema; None for a source.
    """
    clean, built = ledger.clean_versions(run_id), ledger.built_versions(run_id)
    return {
        parameter: lake.files(schema, name, built[name]) if schema else lake.files("clean", name, clean[name])
        for parameter, (name, schema) in inputs.items()
    }


def first_day(run_id: str) -> int:
    """The first business day of the shop, as a day number: of its first order or movement; the horizon if none."""
    run, clean = ledger.find_run(run_id), ledger.clean_versions(run_id)
    days = []
    with duck.session() as connection:
        for name, source in present(settings().sources).items():
            if source.begins:
                rows = duck.relation(lake.files("clean", name, clean[name]), source.lake_columns)
                days.append(connection.execute(f"select min({source.begins}) from {rows}").fetchone())
    return int(min([row[0] for row in days if row and row[0] is not None] + [day_number(run.horizon)]))


def as_of(run_id: str, table: Table) -> int:
    """The last day a table of this run knows of, as a day number: the night's own for a slice, else the horizon."""
    run = ledger.find_run(run_id)
    return day_number(run.night if table.rebuild.kind == "as_of" else run.horizon)


def keep(run_id: str, table: Table, files: list[Path], engine: str) -> int:
    """Commit a built table to the lake and enter it in the ledger.

    Returns:
        Its rows.
    """
    run = ledger.find_run(run_id)
    rows = ds.dataset([str(file) for file in files]).scanner().to_reader()
    if table.rebuild.kind == "as_of" and table.rebuild.column:
        version = lake.replace_slice(table.schema, table.name, table.rebuild.column, day_number(run.night), rows)
    else:
        version = lake.replace(table.schema, table.name, rows)
    count = sum(int(pq.read_metadata(file).num_rows) for file in files)
    ledger.record_build(run_id, table.schema, table.name, engine, version, count)
    return count


def audit(run_id: str, tables: list[Table]) -> dict[str, dict[str, int]]:
    """Judge what was built by each table's own rules.

    Returns:
        Broken rows per table and rule, of the rules that only warn.

    Raises:
        ContractError: naming table, rule and rows, when any other rule was broken.
    """
    from include.validate.judgement import audit as judge_table

    run, versions = ledger.find_run(run_id), ledger.built_versions(run_id)
    found: dict[str, dict[str, int]] = {}
    refused: list[str] = []
    with ledger.stage(run_id, "audit"):
        for table in tables:
            outcomes = judge_table(table, versions[table.name], run.slug)
            ledger.record_outcomes(run_id, table.qualified_name, outcomes)
            broken = [outcome for outcome in outcomes if outcome.broken]
            found[table.name] = {outcome.rule.name: outcome.broken for outcome in broken}
            refused += [
                f"{table.qualified_name}, rule {o.rule.name}: {o.broken:,} rows, such as {', '.join(o.examples)}"
                for o in broken
                if o.rule.severity is not Severity.WARN
            ]
    if refused:
        raise ContractError("what was built breaks its own rules; nothing is published. " + " | ".join(refused))
    return found


def publish(run_id: str, tables: list[Table]) -> int:
    """Publish every table of the night in one transaction.

    Returns:
        The publication's id.
    """
    run, versions = ledger.find_run(run_id), ledger.built_versions(run_id)
    snapshot_at, _ = ledger.snapshot_of(run_id)
    with ledger.stage(run_id, "publish"):
        built = [Built(table, versions[table.name]) for table in tables]
        return publish_tables(run, snapshot_at, built, present(settings().sources))


def _windows(run: Run, sources: Mapping[str, Source]) -> dict[str, str]:
    """Per source, since when changes are read: the watermark less the overlap; everything without a watermark."""
    if run.full_refresh:
        return dict.fromkeys(sources, extraction.EVERYTHING)
    known, overlap = ledger.watermarks(), timedelta(minutes=settings().overlap_minutes)
    return {name: (known[name] - overlap).isoformat() if name in known else extraction.EVERYTHING for name in sources}


def _full(changed_since: Mapping[str, str]) -> dict[str, bool]:
    return {name: since == extraction.EVERYTHING for name, since in changed_since.items()}
