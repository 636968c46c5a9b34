"""Build one published table: open its inputs as known at a day's end, run its ``build``, write Parquet."""

from __future__ import annotations

import datetime
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import narwhals as nw

from include.contract import ContractError, Source, Table, dimensions_of
from include.contract.types import DECIMALS, UNIT_DECIMALS
from transforms import too_large
from transforms.engines import ENGINES, Engine, Frame, Local, OutOfMemory, Resources, choose, out_of_memory
from transforms.registry import TABLES, Input, Published

_log = logging.getLogger(__name__)

_EPOCH = datetime.date(1970, 1, 1)


@dataclass(frozen=True)
class Built:
    """The result of a build.

    Attributes:
        table: the table, with the shop's key types.
        engine: the engine that built it, which may be the one to fall back to.
        files: the Parquet files, sorted by the primary key throughout.
        rows: the number of rows.
    """

    table: Table
    engine: str
    files: tuple[str, ...]
    rows: int


def build(
    name: str,
    files: Mapping[str, Sequence[str]],
    sources: Mapping[str, Source],
    *,
    as_of: int,
    first_day: Callable[[], int],
    engine: str,
    into: Path,
    resources: Resources | None = None,
) -> Built:
    """Build one published table as it stood at the end of a business day.

    Args:
        name: a key of ``TABLES``.
        files: per input of ``layers``, the Parquet files of the pinned version; none means no rows.
        sources: the shop's source contracts by name, with its key types, decimals and dimensions.
        as_of: the data-through date, the last whole business day, as a day number.
        first_day: returns the first day of the calendar, a day number, no later than the first order, movement or
            refund of no line; only called where the table needs a calendar.
        engine: a key of ``ENGINES``, or ``auto``.
        into: the folder to write to; made when missing.
        resources: limits and clusters for the engine; by default this machine.

    Returns:
        The files and the number of rows. The files have the table's exact Arrow schema and are sorted by its key.

    Raises:
        ContractError: when the build returns other columns than the table declares, or a number does not fit its type:
            naming the column, the row and the greatest values that it reads.
        KeyError: naming an input whose files are missing.
        OutOfMemory: when the engine has not enough, and the resources name no other to fall back to.
        Exception: the engine's own.
    """
    from pyarrow import parquet

    published = TABLES[name]
    table = _of_shop(published, sources)
    resources = resources or Local()
    chosen = choose(name, engine, [file for input_files in files.values() for file in input_files], resources)

    def make(runner: Engine) -> Frame:
        return _Making(runner, files, sources, first_day, as_of).rows(published)

    def on(chosen: str) -> Built:
        try:
            with ENGINES[chosen](resources) as runner:
                written = _write(runner, make(runner), table, into)
        except Exception as error:
            if out_of_memory.ran_out(error):
                raise out_of_memory.explained(name, chosen, resources) from error
            if not too_large.is_too_large(error):
                raise
            why = too_large.explained(table, make, _inputs(published, files, sources), resources)
            raise ContractError(why) from error
        system, paths = resources.files.arrow(written)
        rows = sum(parquet.read_metadata(path, filesystem=system).num_rows for path in paths)
        return Built(table, chosen, tuple(written), rows)

    try:
        return on(chosen)
    except OutOfMemory as error:
        fallback = resources.engine_fallback
        if fallback in (None, chosen):
            raise
        _log.warning("%s; it is built on %s instead", error, fallback)
    shutil.rmtree(into, ignore_errors=True)  # what was written of it, if anything was
    return on(choose(name, fallback, [], resources))


def as_known(frame: Frame, source: Source, as_of: int) -> Frame:
    """A source's rows as known at the end of a day: the only place where later events are removed.

    Rows that begin later are left out. Later events of the other rows (a delivery, a cancellation and its reason) are
    null, as they were then.

    Args:
        frame: the source's accepted rows.
        source: its contract, with the day a row begins on and the columns that are filled later.
        as_of: a day number.
    """
    if source.begins:
        frame = frame.filter(nw.col(source.begins) <= as_of)
    for day, columns in source.later.items():
        known = nw.col(day) <= as_of
        frame = frame.with_columns(nw.when(known).then(nw.col(column)).alias(column) for column in (*columns, day))
    return frame


def calendar(first_day: int, as_of: int) -> Any:
    """One row per day from the first through the last, as a ``pyarrow.Table`` of integers.

    Columns: ``day`` (days since 1970-01-01), ``year``, ``month`` (1 to 12), ``month_number`` (months since 1970-01),
    ``day_of_month``, ``day_of_week`` (1 = Monday … 7), ``iso_year`` and ``iso_week``.
    """
    import pyarrow as pa

    numbers = range(first_day, as_of + 1)
    dates = [_EPOCH + datetime.timedelta(days=number) for number in numbers]
    weeks = [date.isocalendar() for date in dates]
    columns = {
        "day": list(numbers),
        "year": [date.year for date in dates],
        "month": [date.month for date in dates],
        "month_number": [(date.year - _EPOCH.year) * 12 + date.month - 1 for date in dates],
        "day_of_month": [date.day for date in dates],
        "day_of_week": [week.weekday for week in weeks],
        "iso_year": [week.year for week in weeks],
        "iso_week": [week.week for week in weeks],
    }
    return pa.table({column: pa.array(values, pa.int64()) for column, values in columns.items()})


@dataclass(frozen=True)
class _Making:
    """One build in progress: its engine, its files, its day."""

    engine: Engine
    files: Mapping[str, Sequence[str]]
    sources: Mapping[str, Source]
    first_day: Callable[[], int]
    as_of: int
    made: dict[str, Frame] = field(default_factory=dict)  # inputs that this build made itself: each table once

    def rows(self, published: Published) -> Frame:
        """Call the table's build with its inputs, and check that it returns the declared columns."""
        dimensioned = "dimensions" in published.parameters
        arguments: dict[str, Any] = {
            entry.parameter: self._input(entry, dimensioned=dimensioned) for entry in published.inputs
        }
        if dimensioned:
            arguments["dimensions"] = dimensions_of(self.sources)
        if "as_of" in published.parameters:
            arguments["as_of"] = self.as_of
        if "minor_units" in published.parameters:
            arguments["minor_units"] = 10 ** _decimals(self.sources)
        if "unit_parts" in published.parameters:
            arguments["unit_parts"] = 10 ** _unit_decimals(self.sources)
        if "calendar" in published.parameters:
            arguments["calendar"] = self.engine.frame(calendar(self.first_day(), self.as_of))
        rows = published.build(**arguments)
        declared = [column.lake_name for column in _of_shop(published, self.sources).columns]
        found = rows.collect_schema().names()
        if sorted(found) != sorted(declared):
            raise ContractError(
                f"{published.table.name}: the build lacks {sorted(set(declared) - set(found))} "
                f"and returns undeclared {sorted(set(found) - set(declared))}"
            )
        return rows.select(declared)

    def _input(self, entry: Input, *, dimensioned: bool) -> Frame:
        """An input as known at the day's end: a source is filtered; a published table is read, or built now.

        What the shop's folder adds is taken away for a build that does not ask for dimensions: a column that it does
        not know may be called as one that it makes.
        """
        from include.contract.arrow import arrow_schema

        if not entry.is_published:
            source = self.sources[entry.source]
            source = source.versions if entry.is_versions else source
            frame = as_known(self.engine.open(self.files[entry.parameter], arrow_schema(source)), source, self.as_of)
            return frame if dimensioned or not source.added else frame.drop(source.added)
        published = TABLES[entry.name]
        table = _of_shop(published, self.sources)
        added = [column.lake_name for column in table.columns[len(published.table.columns) :]]
        if entry.parameter in self.files:
            frame = self.engine.open(self.files[entry.parameter], arrow_schema(table))
            return frame if dimensioned or not added else frame.drop(added)
        if entry.name not in self.made:
            self.made[entry.name] = self.engine.typed(self.rows(published), arrow_schema(table))
        return self.made[entry.name] if dimensioned or not added else self.made[entry.name].drop(added)


def _inputs(
    published: Published, files: Mapping[str, Sequence[str]], sources: Mapping[str, Source]
) -> dict[str, tuple[Table, Sequence[str]]]:
    """By parameter, the tables that a build reads, and their files."""
    found: dict[str, tuple[Table, Sequence[str]]] = {}
    for entry in published.inputs:
        if entry.parameter in files:
            source = None if entry.is_published else sources[entry.source]
            read = source.versions if source and entry.is_versions else source or _of_shop(TABLES[entry.name], sources)
            found[entry.parameter] = (read, files[entry.parameter])
    return found


def _of_shop(published: Published, sources: Mapping[str, Source]) -> Table:
    """A published table as the shop has it."""
    keys = {source.name: source[source.primary_key[0]].type for source in sources.values() if _single(source)}
    return published.table.of_shop(keys, dimensions_of(sources), _decimals(sources), _unit_decimals(sources))


def _decimals(sources: Mapping[str, Source]) -> int:
    """Of every amount of the shop."""
    return next((source.decimals for source in sources.values()), DECIMALS)


def _unit_decimals(sources: Mapping[str, Source]) -> int:
    """Of every quantity of the shop."""
    return next((source.unit_decimals for source in sources.values()), UNIT_DECIMALS)


def _write(engine: Engine, rows: Frame, table: Table, into: Path) -> list[str]:
    """Write the rows, sorted by key; with no rows, one file that holds the schema."""
    from include.contract.arrow import arrow_schema

    into.mkdir(parents=True, exist_ok=True)
    return engine.write(rows, arrow_schema(table), [table[name].lake_name for name in table.primary_key], into)


def _single(source: Source) -> bool:
    return len(source.primary_key) == 1
