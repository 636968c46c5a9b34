"""The steps of a night, as Airflow's tasks and the tests call them. What passes between steps stands in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import date, timedelta
from functools import partial
from typing import Any

from include.audit.reconciliation import prove
from include.contract import ContractError, Severity, Source, Table
from include.contract.counted import COUNTED_FROM, unexplained
from include.contract.types import day_number
from include.extract import drift, sql_files
from include.extract import snapshot as extraction
from include.extract.completeness import Scope, kept_proof
from include.gate import handoff
from include.gate.selection import keep_touched
from include.lake import tables as lake
from include.ledger import anomalies, approvals, builds, copies, expectations, publications, runs
from include.ledger import drift as schema_ledger
from include.ledger.connection import connect
from include.ledger.locks import held
from include.ledger.migrations import prepare
from include.ledger.runs import Kind, Run
from include.pipeline.declarations import changed_definitions, typed
from include.pipeline.first_day import find_first_day, refuse_before
from include.pipeline.one_shop import keep_shop, refuse_other_shop
from include.pipeline.stages import stage
from include.pipeline.troubles import told_apart
from include.publish.live_schema import gone_tables, refuse_breaking
from include.publish.publication import publish_night
from include.publish.staging import unpublished
from include.publish.table_version import TableVersion
from include.settings import settings
from include.sources import counts as stock_counts
from include.sources import lake_sources, shop_sources

_log = logging.getLogger(__name__)


@told_apart()
def begin(run: Run, tables: Iterable[tuple[Table, Iterable[str], str | None]]) -> None:
    """Prepare the warehouse and enter the run.

    Args:
        run: the night's run; its horizon is moved on to what is published already, so that a run for an earlier day
            never takes later days away.
        tables: every table there is, the sources it is made from, and why this shop has none (None: it has).

    Raises:
        ContractError: when the reporting tables' definition would break what others made in the warehouse.
        WrongRequest: when the night is before the shop's first day.
    """
    prepare()
    refuse_before(run.night, copies.first_day())
    published = publications.published_horizon()
    runs.open_run(replace(run, horizon=max(run.horizon, published)) if published else run)
    known = list(tables)
    runs.record_tables(known)
    reporting = typed(table for table, _, why in known if why is None and table.schema == "reporting")
    with connect() as connection:
        refuse_breaking(connection, reporting, gone_tables(connection))


def extract(run_id: str) -> dict[str, int]:
    """Read what changed since the watermark, less the overlap, or everything; all sources in one snapshot.

    Returns:
        Rows read, per source.

    Raises:
        lake.Damaged: when the copy cannot be read; with ``full_refresh`` it is read anew from the shop instead.
        OtherDecimals: when the lake counts amounts otherwise than the shop's folder says; nothing is written then.
        OtherShop: when the lake or the warehouse is another shop's; nothing is written then.
        SchemaDrift: when the shop's tables are not what they were; nothing is written then.
        StatementsRefused: when a statement of the folder does not give what its contract says; nothing is written then.
    """
    from include.gate.acceptance import empty_damaged

    run = runs.find_run(run_id)
    with stage(run_id, "extract"):
        sources = shop_sources(settings().sources)
        handoff.clear(run.slug)
        statements = sql_files.statements(sources.values())
        definitions, changes = changed_definitions(sources, statements)
        refuse_other_shop(definitions)
        schema = drift.expected(run_id, statements)
        if run.full_refresh:
            with held("accept"):
                empty_damaged(lake_sources(settings().sources))
        windows = _windows(run, sources, {name for name, one in changes.items() if one.read})
        read = extraction.extract(sources, windows, run.slug, _proofs(run, sources), schema, run.horizon)
        keep_shop(definitions)
        schema_ledger.record_changes(run_id, read.news)
        full = _full({name: one.changed_since for name, one in read.sources.items()})
        rechecked = {name for name, one in changes.items() if one.all and not full[name]}
        copies.record_extracted(
            run_id,
            read.snapshot_at,
            read.changed_until,
            {name: asdict(one) for name, one in read.sources.items()},
            definitions,
            rechecked,
            {name: one.all for name, one in changes.items()},
            read.lag_seconds,
        )
        keep_touched(sources, run.slug, full, rechecked)
    return {name: one.extracted for name, one in read.sources.items()}


def validate(run_id: str, name: str) -> dict[str, int]:
    """Check tonight's rows of one source.

    Returns:
        Broken rows, per rule that was broken.

    Raises:
        Forgotten: when what was read is gone from the gate.
    """
    from include.gate.checks import check_source

    run = runs.find_run(run_id)
    snapshot_at, since = copies.snapshot_of(run_id)
    sources = shop_sources(settings().sources)
    with stage(run_id, f"validate {name}"):
        rechecked = copies.rechecked(run_id)
        outcomes = check_source(sources, name, run.slug, _full(since), snapshot_at.isoformat(), rechecked)
        expectations.record_outcomes(run_id, sources[name].qualified_name, outcomes)
    return {outcome.rule.name: outcome.broken for outcome in outcomes if outcome.broken}


def check_tolerance(run_id: str) -> bool:
    """Ask for an operator's approval, in the ledger, where more rows would be in quarantine than is tolerated.

    Of a night its day is compared with the days before it; what is unusual is recorded, and asked about where the
    contract says so.

    Returns:
        Whether it is needed.

    Raises:
        NightStopped: when a rule that stops was broken.
    """
    from include.gate.tolerance import find_excess
    from include.pipeline.anomalies import search

    run = runs.find_run(run_id)
    _, since = copies.snapshot_of(run_id)
    sources = shop_sources(settings().sources)
    with stage(run_id, "check_tolerance"):
        approvals.withdraw(run_id)  # what an earlier try asked is asked anew, or no longer
        full, is_night = _full(since), run.kind is Kind.NIGHT
        unusual = [partial(search, run, sources, full)] if is_night else []
        excess = find_excess(sources, _outcomes(run_id, sources), run.slug, full, *unusual)
        if excess:
            approvals.ask(run_id, excess.figures, excess.evidence)
    return excess is not None


def accept(run_id: str) -> dict[str, dict[str, int]]:
    """Merge accepted rows into lake/clean, put rejected ones into quarantine, or stop the night.

    A retry after a crash starts from the versions that the first try found, so its outcome is the same.

    Returns:
        Per source what happened, in rows.

    Raises:
        WrongRequest: when the night is before the shop's first day.
    """
    from include.gate.acceptance import accept as accept_rows
    from include.gate.stock_counts import count_stock
    from include.gate.versions import FoundOn
    from include.lake.duckdb_session import last_whole_day

    run = runs.find_run(run_id)
    snapshot_at, since = copies.snapshot_of(run_id)
    sources = shop_sources(settings().sources)
    with stage(run_id, "accept"), runs.turn("accept", run, snapshot_at):
        broken, approved = _outcomes(run_id, sources), approvals.approved(run_id)
        found = copies.accepting_from(run_id) or {
            name: {layer: lake.version(layer, name) for layer in ("clean", "quarantine")} for name in sources
        }
        begin = partial(copies.begin_accepting, run_id, found)
        found_on = FoundOn.night(run.night, publications.published_horizon(), last_whole_day(snapshot_at))
        proof = kept_proof(run.slug, sources)
        absent = {name for name, source in sources.items() if sql_files.is_absent(source)}
        # What was explained since it was asked about is part of what was approved.
        figures, unusual = (approved.figures, approved.unusual) if approved else (None, anomalies.asked_about(run_id))
        counts = accept_rows(
            sources, broken, run.slug, _full(since), proof, found_on, figures, found, begin, absent, unusual
        )
        for name, source in lake_sources(settings().sources).items():
            if source.counted:
                inventory = sources[COUNTED_FROM[name]]
                made = count_stock(inventory, stock_counts(settings().sources), source, snapshot_at)
                copies.record_counted(run_id, name, made.rows, made.version)
        copies.record_accepted(run_id, counts)
    refuse_before(run.night, find_first_day(run_id))  # begin could not know it before the first night
    return counts


def audit(run_id: str, tables: Iterable[Table]) -> dict[str, dict[str, int]]:
    """Check what was built by each table's own rules: the rows that are not published as they are.

    Of a night it is also proven that nothing was lost or multiplied.

    Returns:
        Broken rows per table and rule, of the rules that only warn.

    Raises:
        ContractError: naming table, rule and rows, when any other rule was broken; and every proof that failed, with
            both sides and the first keys.
    """
    from include.gate.checks import check_table

    run, versions, built = runs.find_run(run_id), builds.built_versions(run_id), typed(tables)
    known = lake_sources(settings().sources)
    if any(source.counted for source in known.values()):
        built = [unexplained(table) for table in built]
    found: dict[str, dict[str, int]] = {}
    refused: list[str] = []
    with stage(run_id, "audit"):
        for table in built:
            version = versions[table.name]
            outcomes = check_table(table, version, run.night, run.slug, unpublished(run, table, version))
            expectations.record_outcomes(run_id, table.qualified_name, outcomes)
            broken = [outcome for outcome in outcomes if outcome.broken]
            found[table.name] = {outcome.rule.name: outcome.broken for outcome in broken}
            refused += [
                f"{table.qualified_name}, rule {o.rule.name}: {o.broken:,} rows, such as {', '.join(o.examples)}"
                for o in broken
                if o.rule.severity is not Severity.WARN
            ]
        if run.kind.publishes_night:
            proofs = prove(run, known, built, versions)
            refused += [proof.failure for proof in proofs if not proof.held]
    if refused:
        raise ContractError("what was built is wrong; nothing is published. " + " | ".join(refused))
    return found


def publish(run_id: str, tables: Iterable[Table]) -> date | None:
    """Publish every table of the night in one transaction.

    Returns:
        The business day that was published; None for a dry run, which publishes nothing.
    """
    run, versions = runs.find_run(run_id), builds.built_versions(run_id)
    if run.dry_run:
        return None
    snapshot_at, _ = copies.snapshot_of(run_id)
    with stage(run_id, "publish"):
        built = [TableVersion(table, versions[table.name]) for table in typed(tables)]
        publish_night(run, snapshot_at, built, shop_sources(settings().sources))
    return run.night


class RunFailed(RuntimeError):
    """A run did not do what it was to; the message is what it failed with."""


def report(run_id: str) -> str | None:
    """Write the run's report page, whatever came of it, and fail where it did not do what it was to.

    Without this failure Airflow takes a run for a success that somebody stopped: its tasks count as skipped.

    Returns:
        The page's path; None where it could not be written, which the log then tells. That fails no night.

    Raises:
        RunFailed: when the run did not do what it was to.
    """
    from include.serve.page import write

    try:
        run, why = runs.find_run(run_id), runs.failure_of(run_id)
    except KeyError:
        raise RunFailed("the run was refused before it was entered: the log of begin says why") from None
    page = None
    try:
        page = str(write(run))
    except Exception:
        _log.exception("the report page could not be written; /stocktake shows it")
    if why:
        raise RunFailed(why)
    return page


def _windows(run: Run, sources: Mapping[str, Source], stale: Collection[str]) -> dict[str, str]:
    """Per source, since when changes are read: the watermark less the overlap; everything without a watermark.

    Everything too of sources whose copy was read by another definition, and of all when a run died while it changed the
    lake: its rows may be in neither layer, or in both.
    """
    if run.full_refresh or copies.was_interrupted_accepting(run.run_id):
        return dict.fromkeys(sources, sql_files.EVERYTHING)
    known, overlap = copies.watermarks(), timedelta(minutes=settings().overlap_minutes)
    return {
        name: (known[name] - overlap).isoformat() if name in known and name not in stale else sql_files.EVERYTHING
        for name in sources
    }


def _proofs(run: Run, sources: Mapping[str, Source]) -> dict[str, Scope]:
    """Per source, how much of the copy tonight's proof compares: all of it every so many nights."""
    every = settings().proof_every
    return {
        name: Scope.WHOLE
        if run.full_refresh or (every.get(name, 1) and day_number(run.night) % every.get(name, 1) == 0)
        else Scope.NEW_KEYS
        for name in sources
    }


def _outcomes(run_id: str, sources: Mapping[str, Source]) -> dict[str, list[dict[str, Any]]]:
    return {name: expectations.outcomes_of(run_id, source.qualified_name) for name, source in sources.items()}


def _full(changed_since: Mapping[str, str]) -> dict[str, bool]:
    return {name: since == sql_files.EVERYTHING for name, since in changed_since.items()}
