"""A build whose engine really runs out of memory: a row of 400 MB, on workers that have less."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from include.settings import ROOT
from include.sources import SOURCES
from tests.transforms.conftest import FIRST_DAY, Reporting, day
from transforms.build import build
from transforms.engines import Local, out_of_memory

# In a process of its own, as a task is: this one may hold a session already.
BUILD = """
import json, logging, sys
from pathlib import Path
from include.sources import SOURCES
from transforms.build import build
from transforms.engines import Local, OutOfMemory
asked = json.loads(sys.argv[1])
logging.basicConfig(level=logging.WARNING)
try:
    made = build("warehouses_history", asked["files"], SOURCES, as_of=asked["as_of"],
                 first_day=lambda: asked["first_day"], engine=asked["engine"], into=Path(asked["into"]),
                 resources=Local(**asked["resources"]))
except OutOfMemory as error:
    print(json.dumps([None, str(error)]))
else:
    print(json.dumps([made.engine, made.rows]))
"""
LIMITS = {"dask": "170MB", "spark": "260MB"}  # the least with which they start, about


@pytest.mark.long
@pytest.mark.parametrize("worker", LIMITS)
def test_it_is_said_and_another_engine_builds_only_if_a_setting_names_one(worker: str, tmp_path: Path) -> None:
    reporting = Reporting({"warehouses": "warehouse_id name\n1 north"}, "2026-01-10", "pandas", tmp_path / "drawn", {})
    files = reporting.files("warehouses_history")
    [file] = files["warehouses_versions"]
    rows = parquet.read_table(file)
    long = pa.array(["n" * 400_000_000], rows.schema.field("name").type)
    parquet.write_table(rows.set_column(rows.schema.get_field_index("name"), "name", long), file)

    def built(**resources: str) -> Any:
        asked = {
            "files": files, "as_of": day("2026-01-10"), "first_day": day(FIRST_DAY), "engine": worker,
            "into": str(tmp_path / f"built_{len(resources)}"), "resources": {"memory_limit": LIMITS[worker], **resources},
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", BUILD, json.dumps(asked)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return *json.loads(done.stdout.splitlines()[-1]), done.stderr

    made_on, said, _ = built()
    assert made_on is None
    assert said.startswith(f"warehouses_history: {worker} ran out of memory, with ")
    assert "twice STOCKTAKE_MEMORY_LIMIT" in said
    made_on, count, warned = built(engine_fallback="pandas")
    assert (made_on, count) == ("pandas", 1)
    assert said.partition(";")[0] in warned
    assert "built on pandas instead" in warned


def test_one_that_runs_out_before_it_has_written_anything_is_built_elsewhere_too(tmp_path: Path) -> None:
    """DuckDB reads small files at once, and this row is of 60 MB once it is unpacked."""
    reporting = Reporting({"warehouses": "warehouse_id name\n1 north"}, "2026-01-10", "pandas", tmp_path / "drawn", {})
    files = reporting.files("warehouses_history")
    [file] = files["warehouses_versions"]
    rows = parquet.read_table(file)
    long = pa.array(["n" * 60_000_000], rows.schema.field("name").type)
    parquet.write_table(rows.set_column(rows.schema.get_field_index("name"), "name", long), file, compression="zstd")
    resources = Local(memory_limit="20MB", engine_fallback="pandas")
    made = build(
        "warehouses_history", files, SOURCES, as_of=day("2026-01-10"), first_day=lambda: day(FIRST_DAY),
        engine="duckdb", into=tmp_path / "built", resources=resources,
    )  # fmt: skip
    assert (made.engine, made.rows) == ("pandas", 1)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "ExecutorLostFailure (executor 1 exited caused by one of the running tasks): Command exited with code 52",
            True,
        ),
        ("ExecutorLostFailure (executor 1 exited): Remote RPC client disassociated. Network issues", False),
        ("Job aborted: java.lang.OutOfMemoryError: Java heap space", True),
        ("[UNABLE_TO_ACQUIRE_MEMORY] Unable to acquire 65536 bytes of memory", True),
        ("[ARITHMETIC_OVERFLOW] long overflow", False),
    ],
)
def test_what_spark_says(said: str, *, expected: bool) -> None:
    assert out_of_memory.ran_out(RuntimeError(said)) is expected


@pytest.mark.parametrize(
    ("ran", "resources", "expected"),
    [
        ("duckdb", Local(), "with 512MB; raise STOCKTAKE_MEMORY_LIMIT, or name"),
        ("dask", Local(), "with 1024 MB a worker, twice STOCKTAKE_MEMORY_LIMIT; raise that"),
        ("dask", Local(dask_scheduler="tcp://there:8786"), "a worker of tcp://there:8786 has"),
        ("spark", Local(spark_master="spark://there:7077"), "an executor of spark://there:7077 has"),
        ("pandas", Local(engine_fallback="duckdb"), "name another engine for it in STOCKTAKE_ENGINES"),
    ],
)
def test_the_limit_and_the_setting_to_raise_are_named(ran: str, resources: Local, expected: str) -> None:
    said = str(out_of_memory.explained("orders", ran, resources))
    assert said.startswith(f"orders: {ran} ran out of memory, ")
    assert expected in said
    assert ("STOCKTAKE_ENGINE_FALLBACK" in said) is (resources.engine_fallback is None)
