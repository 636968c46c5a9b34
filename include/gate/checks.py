"""Great Expectations checks the rows, the engine selects the broken ones by the same rules; the counts must agree."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from include.contract import Source, Table
from include.contract.types import day_number
from include.gate import handoff
from include.gate.selection import write_candidates
from include.lake import duckdb_session as duck
from include.lake import storage
from include.lake.night_views import open_night, row_key, same_key
from include.lake.rows import rows as stored_rows
from include.ledger.expectations import Outcome
from include.settings import settings

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 5  # keys of broken rows that the ledger keeps per rule


class GateDisagreement(RuntimeError):
    """Great Expectations and the engine counted a rule's broken rows differently; neither count is trusted."""


def check_source(
    sources: Mapping[str, Source],
    name: str,
    run: str,
    full: Mapping[str, bool],
    snapshot_at: str,
    rechecked: Collection[str] = (),
) -> list[Outcome]:
    """Check tonight's candidates of one source, and leave the checked rows at the gate.

    Args:
        sources: the shop's sources.
        name: the source to check.
        run: the run that tonight's rows belong to.
        full: per source, whether this run read the whole table.
        snapshot_at: the shop's clock at the snapshot, as ISO text; anything later is in the future.
        rechecked: the sources of which every row is checked again.

    Raises:
        Forgotten: when the list of rows to check is gone from the gate.
        GateDisagreement: when Great Expectations and the engine disagree.
    """
    handoff.remove_old_runs()
    with duck.session() as connection:
        connection.execute(f"create table tonight as select timestamptz {duck.quoted(snapshot_at)} as _snapshot_at")
        needed = {name}.union(*(derived.needs for derived in sources[name].all_derived))
        open_night(connection, {one: source for one, source in sources.items() if one in needed}, run, full)
        write_candidates(connection, sources, name, run, full=full[name], rechecked=name in rechecked)
    return _outcomes(sources[name], handoff.checked_file(run, name), run)


def check_table(
    table: Table, version: int, night: date, run: str, changes: Sequence[str] | None = None
) -> list[Outcome]:
    """Check a built table in the lake by its own rules; of a table of slices, only the night's slice.

    Args:
        table: what was built.
        version: its version in the lake.
        night: the night's business day.
        run: names the Data Docs page, if these pages are written.
        changes: files with the keys of the rows to check (``lake.changes``); all rows if not given. Whether a key is
            unique is checked in the whole table.

    Raises:
        GateDisagreement: when Great Expectations and the engine disagree.
    """
    if changes is not None and not changes:
        return _nothing_broken(table)
    with duck.session() as connection:
        rows = stored_rows(table.schema, table.name, table.lake_columns, version)
        rebuild = table.rebuild
        window = f"where {rebuild.column} = {day_number(rebuild.slice_of(night))}" if rebuild.kind == "as_of" else ""
        if changes is not None:
            lake_key = ", ".join(table[name].lake_name for name in table.primary_key)
            window = f"semi join ({duck.keys(changes, lake_key)}) using ({lake_key})"
        file = storage.join(handoff.folder(run), table.schema, f"{table.name}.parquet")
        checked = f"(select * from {rows} {window})"
        again = duck.repeated(checked, table.primary_key)
        duck.copy(
            connection,
            f"""
            select row.*, coalesce(again._copies, 1) as _copies
            from {checked} as row
            left join {again} as again on {same_key(table, "row", "again")}
            """,
            file,
        )
    outcomes = _outcomes(table, file, run)
    storage.remove([file])
    return outcomes


def _outcomes(table: Table, file: str, run: str) -> list[Outcome]:
    """Check a file by the engine first, then by Great Expectations: DuckDB's memory is free before frames are made."""
    with storage.opened(file) as source:
        rows_to_check = pq.read_metadata(source).num_rows
    if not rows_to_check:  # importing Great Expectations takes longer than all the rest
        return _nothing_broken(table)
    with duck.session() as connection:
        rows = f"read_parquet({duck.quoted(file)})"
        selected = _selected(connection, table, rows)
        examples = {
            rule.name: _examples(connection, table, rows, rule.broken_sql)
            for rule in table.all_rules
            if selected[rule.name]
        }
    evaluated, counted = _expected(table, file, run)
    for rule in table.all_rules:
        if selected[rule.name] != counted[rule.name]:
            raise GateDisagreement(
                f"{table.qualified_name}, rule {rule.name}: Great Expectations counts {counted[rule.name]:,} broken"
                f" rows, the engine selects {selected[rule.name]:,}"
            )
    return [
        Outcome(rule, evaluated[rule.name], selected[rule.name], examples.get(rule.name, []))
        for rule in table.all_rules
    ]


def _nothing_broken(table: Table) -> list[Outcome]:
    """The outcomes where there are no rows to check."""
    return [Outcome(rule, 0, 0, []) for rule in table.all_rules]


def _selected(connection: duckdb.DuckDBPyConnection, table: Table, rows: str) -> dict[str, int]:
    """Per rule, how many rows the engine selects as broken."""
    counts = ", ".join(f"count(*) filter (where {rule.broken_sql})" for rule in table.all_rules)
    found = connection.execute(f"select {counts} from {rows}").fetchone() or ()
    return {rule.name: int(count) for rule, count in zip(table.all_rules, found, strict=True)}


def _examples(connection: duckdb.DuckDBPyConnection, table: Table, rows: str, broken: str) -> list[str]:
    key = row_key(table)
    found = connection.execute(f"select {key} as key from {rows} where {broken} order by key limit {EXAMPLES}")
    return [str(row[0]) for row in found.fetchall()]


def _expected(table: Table, file: str, run: str) -> tuple[Counter[str], Counter[str]]:
    """Per rule, how many rows Great Expectations evaluated and how many it found broken; checked batch by batch."""
    evaluated: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    from include.contract.expectations import suite

    context = _context()
    expectations = suite(table)
    batches = context.data_sources.add_or_update_pandas(table.qualified_name).add_dataframe_asset("rows")
    definition = batches.add_batch_definition_whole_dataframe("batch")
    for number, frame in enumerate(_frames(table, file)):
        batch = definition.get_batch({"dataframe": frame})
        result = batch.validate(expectations, result_format={"result_format": "BASIC", "partial_unexpected_count": 0})
        for single in result.results:
            rule = str(single.expectation_config.meta["rule"])
            if single.exception_info.get("raised_exception") or "unexpected_count" not in single.result:
                raise RuntimeError(f"{table.qualified_name}, rule {rule} could not be checked: {_reason(single)}")
            evaluated[rule] += int(single.result["element_count"])
            broken[rule] += int(single.result["unexpected_count"])
        if settings().data_docs:
            _write_data_docs(result, storage.join(settings().reports, run, f"{table.qualified_name}-{number}.html"))
    return evaluated, broken


def _reason(single: Any) -> str:
    """Why Great Expectations could not evaluate a rule: its messages, without the traceback around them."""
    infos = [single.exception_info, *single.exception_info.values()]
    messages = {
        str(info["exception_message"]) for info in infos if isinstance(info, dict) and info.get("exception_message")
    }
    return "; ".join(sorted(messages)) or str(single.exception_info)


def _frames(table: Table, file: str) -> Iterator[pd.DataFrame]:
    """The file's rows as frames of at most ``settings().batch_rows`` rows, with only the columns that the rules read.

    Instants become microseconds since 1970. They compare the same, and Great Expectations hashes every frame it gets:
    an integer takes a fifteenth of the time. Columns are Arrow-backed, so that integers stay integers beside nulls. But
    Great Expectations compares every column that is not of numpy's numbers row by row (600,000 order items in 1.4 s
    instead of 0.6 s), so integers without a null are numpy's.
    """
    import pandas as pd

    def series(array: Any) -> pd.Series[Any]:
        if pa.types.is_integer(array.type) and not array.null_count:
            return pd.Series(array.to_numpy())
        return pd.Series(pd.arrays.ArrowExtensionArray(array))

    columns = sorted({column for rule in table.all_rules for column in rule.reads})
    with storage.opened(file) as source, pq.ParquetFile(source) as parquet:
        for batch in parquet.iter_batches(settings().batch_rows, columns=columns):
            arrays = [array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array for array in batch.columns]
            yield pd.DataFrame(dict(zip(batch.schema.names, map(series, arrays), strict=True)))


@cache
def _context() -> Any:
    """One ephemeral context per process: with parallel tasks, a file context lost its data sources."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _write_data_docs(result: Any, file: str) -> None:
    """Write Great Expectations' own page of a result; it loads remote files when opened, so a setting turns it on."""
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    page: str = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(result))  # type: ignore[no-untyped-call]
    storage.write(file, page.encode())
