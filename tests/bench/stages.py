"""The two DAGs of a night, stage by stage, each in a process of its own and one after the other, in the DAG's order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import duckdb

from include.sources import shop_sources
from tests.bench.measuring import JobFailed, Measurement, job
from tests.bench.place import Place
from transforms.registry import buildable


@dataclass(frozen=True)
class Line:
    """One line of the bench's table.

    Attributes:
        work: what was done.
        seconds: how long that took; None when it could not be done.
        rows: how many rows it handled.
        peak_bytes: the most memory of its process tree; None when it was not in that tree.
        note: what a reader must know.
    """

    work: str
    seconds: float | None
    rows: int
    peak_bytes: int | None
    note: str = ""

    @classmethod
    def of(cls, work: str, measured: Measurement, note: str = "", rows: int | None = None) -> Line:
        """The line of a measurement; its rows where the job does not count them itself."""
        return cls(work, measured.seconds, measured.rows if rows is None else rows, measured.peak_bytes, note)

    @classmethod
    def failed(cls, work: str, error: JobFailed) -> Line:
        """The line of work that could not be done, with the last of its words."""
        return cls(work, None, 0, None, f"failed: {str(error).splitlines()[-1][:160]}")


@dataclass
class Night:
    """A night, or the features after it, that was measured.

    Attributes:
        run_id: its run.
        lines: its stages, in order.
        built: the rows of every table, by name.
    """

    run_id: str
    lines: list[Line] = field(default_factory=list)
    built: dict[str, int] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Of all its stages, one after the other."""
        return sum(line.seconds or 0 for line in self.lines)

    def of(self, stage: str) -> float:
        """The seconds of the stages whose name begins so."""
        return sum(line.seconds or 0 for line in self.lines if line.work.split()[0] == stage)

    @property
    def peak_bytes(self) -> int:
        """The most memory of any stage."""
        return max(line.peak_bytes or 0 for line in self.lines)


Say = Callable[[Line], None]
CONNECTIONS: Final = (1, 2, 4)
TABLES_OF_THE_SHOP: Final = (
    "customers", "products", "warehouses", "orders", "order_items", "refunds", "order_refunds", "payments",
    "shipment_items", "inventory", "inventory_movements", "purchase_order_lines", "kit_components",
)  # fmt: skip


def night(place: Place, run_id: str, day: date, engine: str, say: Say) -> Night:
    """Run ``nightly`` once; without a watermark it reads, judges and publishes everything.

    Args:
        place: the shop.
        run_id: the name of the run.
        day: the business day.
        engine: what builds the tables.
        say: told every line as it comes.

    Raises:
        JobFailed: when a stage does.
    """
    running = _Running(place, Night(run_id), say)
    sources = shop_sources(Path(place.environment["STOCKTAKE_SOURCES"]))
    job("begin", place.environment, run_id=run_id, day=day.isoformat(), engine=engine)
    running.stage("extract", "extract")
    for source in sources:
        running.stage("validate", f"validate {source}", source=source)
    running.stage("check_tolerance", "check_tolerance")
    running.stage("accept", "accept")
    running.tables("reporting", sources, "publish")
    return running.night


def connections(place: Place, day: date, engine: str, say: Say) -> dict[int, Line]:
    """Read the whole shop and prove the copy, on one connection and on several, each into the same lake."""
    found = {}
    for number in CONNECTIONS:
        environment = {**place.environment, "STOCKTAKE_SHOP_CONNECTIONS": str(number)}
        run_id = f"on-{number}"
        job("begin", environment, run_id=run_id, day=day.isoformat(), engine=engine)
        measured = job("extract", environment, run_id=run_id)
        found[number] = Line.of(f"extract on {number} connection{'s' if number > 1 else ''}", measured)
        say(found[number])
    return found


def features(place: Place, run_id: str, engine: str, say: Say) -> Night:
    """Run ``features`` once, for the night that was published last, as its publication starts it.

    Args:
        place: the shop.
        run_id: the name of the run.
        engine: what builds the slices.
        say: told every line as it comes.

    Raises:
        JobFailed: when a stage does.
    """
    running = _Running(place, Night(run_id), say)
    job("begin_features", place.environment, run_id=run_id, engine=engine)
    running.tables("features", shop_sources(Path(place.environment["STOCKTAKE_SOURCES"])), "publish_features")
    return running.night


@dataclass(frozen=True)
class _Running:
    """A DAG's run that is measured as it goes."""

    place: Place
    night: Night
    say: Say

    def stage(self, name: str, label: str, rows: int | None = None, **arguments: object) -> Measurement:
        """Do a job of this run, and note its line."""
        measured = job(name, self.place.environment, run_id=self.night.run_id, **arguments)
        note = f"{measured.value:,} quarantined" if name == "accept" and measured.value else ""
        line = Line.of(label, measured, note, rows)
        self.night.lines.append(line)
        self.say(line)
        return measured

    def tables(self, schema: str, sources: Collection[str], publish: str) -> None:
        """Build, audit and publish the tables of a schema."""
        built = self.night.built
        for table in buildable(sources).of(schema):
            built[table] = self.stage("build", f"build {table}", table=table).rows
        self.stage("audit", "audit", sum(built.values()), tables=list(built))
        self.stage(publish, "publish", sum(built.values()), tables=list(built))
        self.stage("report", "report")


def builds(place: Place, of: Sequence[Night], engines: Sequence[str], say: Say) -> dict[str, dict[str, Line]]:
    """Build every table of some runs on every engine, from the same versions, into files; engines must agree.

    Returns:
        By table and engine; an engine that fails or disagrees has no seconds.
    """
    runs = {table: one.run_id for one in of for table in one.built}
    found: dict[str, dict[str, Line]] = {table: {} for table in runs}
    for table, run_id in runs.items():
        right: tuple[object, ...] | None = None
        for engine in engines:
            work = f"{table} on {engine}"
            into = place.work / "builds" / engine / table
            try:
                measured = job(
                    "build_files", place.environment, run_id=run_id, table=table, engine=engine, into=str(into)
                )
            except JobFailed as error:
                line = Line.failed(work, error)
            else:
                rows = contents(measured.value)
                right = right or rows
                line = Line.of(work, measured)
                if rows != right:
                    line = Line(work, None, measured.rows, measured.peak_bytes, "failed: its rows are not the same")
            found[table][engine] = line
            say(line)
    return found


def contents(files: Sequence[str]) -> tuple[object, ...]:
    """How many rows files hold, and a digest of them in any order."""
    with duckdb.connect() as connection:
        rows = connection.execute("select count(*), sum(hash(row)) from read_parquet(?) as row", [list(files)])
        return tuple(rows.fetchone() or ())


def total(lines: Mapping[str, Mapping[str, Line]], engine: str, tables: Sequence[str]) -> float | None:
    """The seconds of some tables on an engine, one after the other; None when one of them failed."""
    seconds = [lines[table][engine].seconds for table in tables]
    return None if None in seconds else sum(one for one in seconds if one is not None)
