"""Other ways to do a night's work on the same rows: the floor, DuckDB alone, pandas alone, SQL, dlt and dbt."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

import psycopg
from psycopg.sql import SQL

from include.sources import SOURCES
from tests.bench import dbt_project, plain_sql
from tests.bench.measuring import JobFailed, Measurement, job, measured, reported
from tests.bench.place import LAST_DAY, TIMEZONE, Place
from tests.bench.stages import TABLES_OF_THE_SHOP, Line, Night, Say
from transforms.registry import TABLES

MOST_TO_SQL: Final = 5_000  # rows of each table that to_sql writes; it takes hours for millions

FLOOR_OUT: Final = "copy out, binary, to /dev/null"
FLOOR_IN: Final = "copy in, binary, bare tables"
SCAN: Final = "DuckDB, plain scan to Parquet"
INSERT: Final = "DuckDB, plain insert, bare tables"
INSERT_KEYED: Final = "DuckDB, plain insert, tables with keys"
READ_SQL: Final = "pandas.read_sql"
TO_SQL: Final = "DataFrame.to_sql"
DLT: Final = "dlt to Parquet"
DLT_LOAD: Final = "dlt into Postgres"
DBT: Final = "dbt build"

_REQUIREMENTS: Final = Path(__file__).with_name("requirements-rivals.txt")
_SILENT: Final = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DO_NOT_TRACK": "1"}
_KEYS: Final = {"payments": ["transaction_id"]}  # where the shop calls it otherwise than the contract


def extraction(place: Place, say: Say) -> dict[str, Line]:
    """Every row of the shop's tables, read in other ways."""
    tables, copied = list(TABLES_OF_THE_SHOP), place.work / "scan"
    copied.mkdir()
    commands = [rf"\copy (select * from {table}) to '/dev/null' with (format binary)" for table in tables]
    _psql(place, place.shop("extractor"), commands)  # into the caches, which all others find warm
    lines = [
        Line.of(FLOOR_OUT, _psql(place, place.shop("extractor"), commands), "psql"),
        Line.of(SCAN, job("scan", place.environment, tables=tables, into=str(copied))),
        Line.of(READ_SQL, job("read_sql", place.environment, tables=tables), "100,000 rows at a time, nothing kept"),
        _dlt(place),
    ]
    shutil.rmtree(copied)
    return _said(lines, say)


def loading(place: Place, of: Night, say: Say) -> dict[str, Line]:
    """Every row that a night published, written to the warehouse in other ways."""
    tables = list(of.built)
    for schema in ("copied", "bare", "keyed", "naive"):
        _empty_tables(place, schema, tables, keyed=schema == "keyed")
    lines = [
        _copy_in(place, tables),
        Line.of(INSERT, job("insert", place.environment, run_id=of.run_id, tables=tables, schema="bare")),
        Line.of(INSERT_KEYED, job("insert", place.environment, run_id=of.run_id, tables=tables, schema="keyed")),
        _to_sql(place, of, tables),
    ]
    with psycopg.connect(place.warehouse(), autocommit=True) as warehouse:
        for schema in ("copied", "bare", "keyed", "naive"):
            warehouse.execute(SQL(f"drop schema {schema} cascade"))
    return _said(lines, say)


def sql_in_postgres(place: Place, say: Say) -> dict[str, Line]:
    """The main reporting tables as SQL; a table whose rows are not ours has no seconds.

    Ours must be published in the warehouse, as of the shop's last day.
    """
    plain_sql.prepare(place.shop())
    made = {
        name: job("sql", place.environment, url=place.shop(), table=name, as_of=LAST_DAY.isoformat(), timezone=TIMEZONE)
        for name in plain_sql.NAMES
    }
    wrong = plain_sql.different(place.warehouse(), place.shop())
    lines = {name: Line(f"{name} as SQL in Postgres", one.seconds, one.rows, None) for name, one in made.items()}
    lines |= {name: replace(lines[name], seconds=None, note="failed: its rows are not ours") for name in wrong}
    for line in lines.values():
        say(line)
    return lines


def _said(lines: Sequence[Line], say: Say) -> dict[str, Line]:
    for line in lines:
        say(line)
    return {line.work: line for line in lines}


def _psql(place: Place, url: str, commands: Sequence[str]) -> Measurement:
    """Run psql's commands one after the other; the rows are those that they copied."""
    arguments = [argument for command in commands for argument in ("-c", command)]
    done = measured(
        [str(place.cluster.psql), "--no-psqlrc", "--set=ON_ERROR_STOP=1", *arguments], place.psql_environment(url)
    )
    return replace(done, rows=sum(int(count) for count in re.findall(r"^COPY (\d+)$", done.value, re.MULTILINE)))


def _copy_in(place: Place, tables: Sequence[str]) -> Line:
    """What was published, out to files and (this is measured) back in."""
    folder = place.work / "binary"
    folder.mkdir()
    names = {name: ", ".join(column.name for column in TABLES[name].table.columns) for name in tables}
    out = [
        rf"\copy (select {names[name]} from {TABLES[name].table.qualified_name}) to '{folder}/{name}' (format binary)"
        for name in tables
    ]
    _psql(place, place.warehouse(), out)
    back = [rf"\copy copied.{name} ({names[name]}) from '{folder}/{name}' (format binary)" for name in tables]
    line = Line.of(FLOOR_IN, _psql(place, place.warehouse(), back), "psql")
    shutil.rmtree(folder)
    return line


def _empty_tables(place: Place, schema: str, tables: Sequence[str], *, keyed: bool) -> None:
    with psycopg.connect(place.warehouse(), autocommit=True) as warehouse:
        warehouse.execute(SQL(f"create schema {schema}"))
        for name in tables:
            table = TABLES[name].table
            parts = [f"{column.name} {column.postgres}" for column in table.columns]
            parts += [f"primary key ({', '.join(table.primary_key)})"] if keyed else []
            warehouse.execute(SQL(f"create table {schema}.{name} ({', '.join(parts)})"))


def _to_sql(place: Place, of: Night, tables: Sequence[str]) -> Line:
    """What ``to_sql`` takes for all rows: where that is too many, in proportion to the first of them."""
    done = job("to_sql", place.environment, run_id=of.run_id, tables=tables, schema="naive", most=MOST_TO_SQL)
    rows, seconds = int(done.value["rows"]), float(done.value["seconds"])
    note = "" if done.rows == rows else f"EXTRAPOLATED from {done.rows:,} rows, at most {MOST_TO_SQL:,} per table"
    return Line(TO_SQL, seconds, rows, done.peak_bytes, note)


def _dlt(place: Place) -> Line:
    """Have dlt write the tables as files; where it cannot be installed, the line says why."""
    folder = place.work / "dlt"
    try:
        line = Line.of(DLT, _dlt_copy(place, _python_of_rivals(place), "shop", folder), "sql_database, pyarrow")
    except JobFailed as error:
        return Line.failed(DLT, error)
    shutil.rmtree(folder)
    return line


def _dlt_copy(place: Place, python: Path, dataset: str, folder: Path, **where: str) -> Measurement:
    url = place.shop().replace("postgresql://", "postgresql+psycopg2://", 1)  # a connection for every table
    keys = json.dumps({table: _KEYS.get(table) or list(SOURCES[table].primary_key) for table in TABLES_OF_THE_SHOP})
    script = str(Path(__file__).with_name("dlt_copy.py"))
    environment = {**place.environment, **_SILENT, "BENCH_URL": url, **where}
    return reported([str(python), script, keys, dataset, str(folder)], environment)


def dlt_and_dbt(place: Place, day: date, say: Say) -> list[Line]:
    """Have dlt copy the shop into the warehouse, or what has changed since it did, and dbt build and test tables.

    Ours must be published in the warehouse, as of this day. Tables with other rows than ours have no seconds.
    """
    folder = place.work / "dlt_and_dbt"
    try:
        python = _python_of_rivals(place)
        sources = Path(place.environment["STOCKTAKE_SOURCES"])
        tests = dbt_project.write(folder / "dbt", place.shop(), TABLES_OF_THE_SHOP, sources)
        copied = _dlt_copy(place, python, dbt_project.COPIED, folder, BENCH_WAREHOUSE=place.warehouse())
        lines = [Line.of(DLT_LOAD, copied), _dbt_build(place, python, folder, day, tests)]
    except JobFailed as error:
        lines = [Line.failed(DBT, error)]
    for line in lines:
        say(line)
    return lines


def _dbt_build(place: Place, python: Path, folder: Path, day: date, tests: int) -> Line:
    where = psycopg.conninfo.conninfo_to_dict(place.warehouse())
    parts = {f"BENCH_{name.upper()}": str(where[name]) for name in ("host", "port", "user", "password", "dbname")}
    project, said = str(folder / "dbt"), json.dumps({"as_of": day.isoformat()})
    command = [str(python.with_name("dbt")), "--quiet", "build", "--project-dir", project, "--profiles-dir", project]
    done = measured([*command, "--vars", said], {**place.environment, **_SILENT, **parts})
    wrong = plain_sql.different(place.warehouse(), place.warehouse(), schema=dbt_project.BUILT)
    with psycopg.connect(place.warehouse()) as warehouse:
        rows = sum(
            (warehouse.execute(SQL(f"select count(*) from {dbt_project.BUILT}.{name}")).fetchone() or (0,))[0]
            for name in plain_sql.NAMES
        )
    line = Line.of(DBT, done, f"{len(plain_sql.NAMES)} tables, {tests} tests; its start is in it", rows)
    return replace(line, seconds=None, note=f"failed: its rows are not ours, in {', '.join(wrong)}") if wrong else line


def _python_of_rivals(place: Place) -> Path:
    """The Python that has dlt and dbt: an environment of its own, which is made on first use."""
    folder = place.folder / "rivals"
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    if installed.exists() and installed.read_text() == _REQUIREMENTS.read_text():
        return python
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise JobFailed("there is no uv to install dlt and dbt with: make puts one into .venv")
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), "-r", str(_REQUIREMENTS)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise JobFailed(f"dlt and dbt cannot be installed: {' '.join(done.stderr.split())}")
    shutil.copyfile(_REQUIREMENTS, installed)
    return python
