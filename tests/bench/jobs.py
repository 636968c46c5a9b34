"""What is measured: each job runs in a process of its own, ``python -m tests.bench.jobs NAME ARGUMENTS RESULT``.

Belongs here: the steps of a night as a task calls them, and other ways to do the same work. Does not: what they are
compared with, or how they are measured. The clock starts after the imports that a worker of Airflow inherits.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests.bench.measuring import own_peak

Done: TypeAlias = tuple[int, Any]  # rows, and whatever else there is to say


@dataclass(frozen=True)
class Job:
    """A job and what its process has imported before the clock starts."""

    work: Callable[..., Done]
    imports: tuple[str, ...] = ()


def begin(run_id: str, day: str, engine: str) -> Done:
    """Enter a run in the ledger."""
    from include.ledger.runs import Run
    from include.pipeline import nightly
    from transforms.registry import TABLES

    on = date.fromisoformat(day)
    nightly.begin(Run(run_id, on, on, engine=engine), [(one.table, one.sources, None) for one in TABLES.values()])
    return 0, None


def extract(run_id: str) -> Done:
    """Rows: what was read."""
    from include.pipeline import nightly

    read = nightly.extract(run_id)
    return sum(read.values()), read


def validate(run_id: str, source: str) -> Done:
    """Rows: what was judged. Value: the broken ones."""
    from include.pipeline import nightly

    broken = nightly.validate(run_id, source)
    return _judged(run_id, source), broken


def check_tolerance(run_id: str) -> Done:
    """Value: whether an operator has to be asked."""
    from include.pipeline import nightly

    return 0, nightly.check_tolerance(run_id)


def accept(run_id: str) -> Done:
    """Rows: what was judged. Value: the quarantined ones."""
    from include.pipeline import nightly

    counts = nightly.accept(run_id)
    return sum(_judged(run_id, source) for source in counts), sum(one["quarantined"] for one in counts.values())


def build(run_id: str, table: str) -> Done:
    """Rows: what was built."""
    from include.pipeline import table_build
    from transforms.build import build as builder
    from transforms.registry import TABLES

    one = TABLES[table]
    return table_build.build(run_id, one.table, one.layers, one.sources, builder, one.code), None


def audit(run_id: str, tables: Sequence[str]) -> Done:
    """Rows are counted by who built them."""
    from include.pipeline import nightly
    from transforms.registry import TABLES

    nightly.audit(run_id, [TABLES[name].table for name in tables])
    return 0, None


def publish(run_id: str, tables: Sequence[str]) -> Done:
    """Rows are counted by who built them. Value: those that were inserted or deleted."""
    from include.ledger.connection import connect
    from include.pipeline import nightly
    from transforms.registry import TABLES

    nightly.publish(run_id, [TABLES[name].table for name in tables])
    with connect() as connection:
        row = connection.execute(
            "select sum(inserted + deleted)::bigint from audit.publication_tables"
            " join audit.publications using (publication_id) where run_id = %s",
            [run_id],
        ).fetchone()
    return 0, row[0] if row else None


def republish(run_id: str, night: str) -> Done:
    """Put a past night back: one transaction over all tables that differ from it."""
    from include.pipeline import republish as putting_back
    from transforms.registry import TABLES

    putting_back.begin(run_id, {"night": night})
    reporting = [one.table for one in TABLES.values() if one.table.schema == "reporting"]
    return 0, putting_back.publish(run_id, reporting)


def begin_features(run_id: str, engine: str) -> Done:
    """Enter a run of the DAG ``features``, for the night that was published last."""
    from include.pipeline import tables_dag
    from transforms.registry import TABLES

    tables = [one.table for one in TABLES.values() if one.table.schema == "features"]
    tables_dag.begin(run_id, None, {"engine": engine}, dag="features", tables=tables)
    return 0, None


def publish_features(run_id: str, tables: Sequence[str]) -> Done:
    """Rows are counted by who built them."""
    from include.pipeline import tables_dag
    from transforms.registry import TABLES

    tables_dag.publish(run_id, [TABLES[name].table for name in tables])
    return 0, None


def report(run_id: str) -> Done:
    """Say in the ledger that the run went well, and write its page."""
    from include.ledger import runs
    from include.pipeline import nightly

    runs.finish_run(run_id, "success")
    return 0, nightly.report(run_id)


def build_files(run_id: str, table: str, engine: str, into: str) -> Done:
    """Build a table from the versions of a run into a folder, on any engine; nothing is entered anywhere.

    Rows: what was built. Value: the files.
    """
    from include.contract.types import day_number
    from include.ledger import runs
    from include.pipeline import table_build
    from include.settings import settings
    from include.sources import shop_sources
    from transforms.build import build as builder
    from transforms.registry import TABLES

    run, one = runs.find_run(run_id), TABLES[table]
    made = builder(
        table, table_build.inputs_of(run, one.table, one.layers, one.sources).all_files,
        shop_sources(settings().sources),
        as_of=day_number(run.horizon), engine=engine, into=Path(into),
        first_day=partial(table_build.calendar_from, run),
    )  # fmt: skip
    return made.rows, [str(file) for file in made.files]


def scan(tables: Sequence[str], into: str) -> Done:
    """DuckDB's plain scan: every table of the shop, as it is, to one Parquet file each."""
    import duckdb

    from include.lake import duckdb_session as duck
    from include.settings import settings

    rows = 0
    with duckdb.connect() as connection:
        duck.attach(connection, "shop", settings().shop_url, read_only=True)
        for table in tables:
            copied = connection.execute(f"copy (select * from shop.public.{table}) to '{into}/{table}.parquet'")
            rows += (copied.fetchone() or [0])[0]
    return rows, None


def insert(run_id: str, tables: Sequence[str], schema: str) -> Done:
    """DuckDB's plain insert: a night's tables from the lake into empty ones of a schema of the warehouse."""
    import duckdb

    from include.lake import duckdb_session as duck
    from include.settings import settings

    rows = 0
    with duckdb.connect() as connection:
        duck.attach(connection, "warehouse", settings().warehouse_url, read_only=False)
        for name, selected in _published_rows(run_id, tables).items():
            done = connection.execute(f"insert into warehouse.{schema}.{name} by name {selected}")
            rows += (done.fetchone() or [0])[0]
    return rows, None


def read_sql(tables: Sequence[str]) -> Done:
    """``pandas.read_sql`` over every table of the shop, 100,000 rows at a time; nothing is kept."""
    import pandas as pd

    from include.settings import settings

    with _engine(settings().shop_url.get_secret_value()).connect() as connection:
        streamed = connection.execution_options(stream_results=True, max_row_buffer=100_000)
        return sum(
            len(chunk)
            for table in tables
            for chunk in pd.read_sql(f"select * from {table}", streamed, chunksize=100_000)
        ), None


def to_sql(run_id: str, tables: Sequence[str], schema: str, most: int) -> Done:
    """``DataFrame.to_sql`` of a night's tables, at most so many rows of each.

    Value: the seconds that all rows would take, table by table in proportion, and how many rows that is.
    """
    import duckdb

    from include.settings import settings

    written = total = 0
    estimate = 0.0
    engine = _engine(settings().warehouse_url.get_secret_value())
    with duckdb.connect() as connection:
        for name, selected in _published_rows(run_id, tables).items():
            rows = int((connection.execute(f"select count(*) from ({selected})").fetchone() or [0])[0])
            frame = connection.execute(f"{selected} limit {most}").df()
            started = time.perf_counter()
            frame.to_sql(name, engine, schema=schema, if_exists="append", index=False, chunksize=10_000)
            if len(frame):
                estimate += (time.perf_counter() - started) * rows / len(frame)
            written, total = written + len(frame), total + rows
    return written, {"seconds": estimate, "rows": total}


def sql(url: str, table: str, as_of: str, timezone: str) -> Done:
    """A table as plain SQL inside Postgres."""
    from tests.bench.plain_sql import make

    return make(url, table, date.fromisoformat(as_of), timezone), None


def allocate(megabytes: int, below: bool) -> Done:
    """Hold so much memory for a quarter of a second, in this process or in one below it: to test what is measured."""
    if below:
        import subprocess

        program = f"import time; held = b'x' * ({megabytes} << 20); time.sleep(0.25)"
        subprocess.run([sys.executable, "-c", program], check=True)
    else:
        held = b"x" * (megabytes << 20)
        time.sleep(0.25)
        del held
    return megabytes, "done"


_FORKED: Final = ("deltalake", "duckdb", "narwhals", "pandas", "pyarrow.dataset", "include.pipeline.nightly")
_GATE: Final = (*_FORKED, "include.contract.expectations", "include.gate.checks")
_PANDAS: Final = ("pandas", "sqlalchemy", "psycopg2", "include.settings")

JOBS: Final[Mapping[str, Job]] = {
    "begin": Job(begin),
    "extract": Job(extract, _FORKED),
    "validate": Job(validate, _GATE),
    "check_tolerance": Job(check_tolerance, (*_FORKED, "include.gate.tolerance")),
    "accept": Job(accept, (*_FORKED, "include.gate.acceptance")),
    "build": Job(build, (*_FORKED, "include.pipeline.table_build", "transforms.build")),
    "audit": Job(audit, (*_GATE, "transforms.registry")),
    "publish": Job(publish, (*_FORKED, "transforms.registry")),
    "republish": Job(republish, (*_FORKED, "transforms.registry")),
    "begin_features": Job(begin_features),
    "publish_features": Job(publish_features, (*_FORKED, "transforms.registry")),
    "report": Job(report, _FORKED),
    "build_files": Job(build_files, (*_FORKED, "transforms.build")),
    "scan": Job(scan, ("duckdb", "include.lake.duckdb_session")),
    "insert": Job(insert, (*_FORKED, "transforms.registry")),
    "read_sql": Job(read_sql, _PANDAS),
    "to_sql": Job(to_sql, (*_PANDAS, *_FORKED, "transforms.registry")),
    "sql": Job(sql, ("tests.bench.plain_sql",)),
    "allocate": Job(allocate),
}


def _judged(run_id: str, source: str) -> int:
    """How many rows of a source waited at the gate."""
    from pyarrow import parquet

    from include.gate import handoff
    from include.ledger import runs

    return int(parquet.read_metadata(handoff.checked_file(runs.find_run(run_id).slug, source)).num_rows)


def _published_rows(run_id: str, tables: Sequence[str]) -> dict[str, str]:
    """Per table a DuckDB statement that selects what a run published, as Postgres holds it."""
    from include.lake import duckdb_session as duck
    from include.lake import tables as lake
    from include.ledger import builds
    from transforms.registry import TABLES

    versions = builds.built_versions(run_id)
    statements = {}
    for name in tables:
        table = TABLES[name].table
        rows = duck.relation(lake.files(table.schema, name, versions[name]), table.lake_columns)
        values = (f"{column.to_warehouse_sql()} as {column.name}" for column in table.columns)
        statements[name] = f"select {', '.join(values)} from {rows}"
    return statements


def _engine(url: str) -> Any:
    import sqlalchemy

    return sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg2://", 1))


def main(name: str, arguments: str, result: str) -> None:
    """Do one job and write what it took."""
    job = JOBS[name]
    for module in job.imports:
        importlib.import_module(module)
    started = time.perf_counter()
    rows, value = job.work(**json.loads(arguments))
    seconds = time.perf_counter() - started
    said = {"seconds": seconds, "rows": rows, "value": value, "own_peak_bytes": own_peak()}
    Path(result).write_text(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
