"""Every engine reads and writes a lake in an object store, of which its workers see nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import narwhals as nw
import pyarrow as pa
import pytest
from pyarrow import parquet

from include.build.resources import LakeFiles
from include.lake import storage
from include.settings import settings
from tests.object_server import without_a_key_of_ours
from transforms.engines import ENGINES, Frame, Local, by_key
from transforms.engines.duckdb_engine import DuckdbEngine

SCHEMA = pa.schema([("key", pa.int64()), ("value", pa.int64()), ("text", pa.string())])


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("place", ["here", "shared"])
@pytest.mark.parametrize(
    "name", ["pandas", "duckdb", *(pytest.param(one, marks=pytest.mark.long) for one in ("dask", "spark"))]
)
def test_an_engine_reads_a_bucket_and_its_workers_write_to_it(tmp_path: Path, name: str, place: str) -> None:
    lake = settings().lake
    files = [f"{lake}/rows/{number}.parquet" for number in range(3)]
    for number, file in enumerate(files):
        rows = {"key": [number, 7], "value": [10 * number, 1], "text": [f"text {number}", None]}
        with storage.whole(file) as unfinished:
            parquet.write_table(pa.table(rows, SCHEMA if number else pa.schema([*SCHEMA][:2])), unfinished)
    resources = Local(files=LakeFiles())
    if place == "shared":
        resources = replace(resources, shared=f"{lake}/scratch/one")
    (tmp_path / "into").mkdir()
    with ENGINES[name](resources) as engine:
        read = engine.open(files, SCHEMA)
        summed = by_key(read, ["key"], sums)
        written = engine.write(engine.typed(summed, SCHEMA), SCHEMA, ["key"], tmp_path / "into")
    system, paths = storage.arrow(written)
    found = pa.concat_tables([parquet.read_table(path, filesystem=system) for path in paths])
    assert found.select(["key", "value"]).to_pydict() == {"key": [0, 1, 2, 7], "value": [0, 10, 20, 3]}
    assert found["text"].to_pylist()[1:3] == ["text 1", "text 2"]
    assert storage.is_url(written[0]) == (place == "shared" and name == "spark")


@pytest.mark.usefixtures("bucket")
def test_duckdb_builds_without_a_key_of_ours_and_loads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a role of the machine it reads through Python, and looks for no extension in the network."""
    files = [storage.in_lake(f"{number}.parquet") for number in range(3)]
    for number, file in enumerate(files):
        with storage.whole(file) as unfinished:
            parquet.write_table(pa.table({"key": [1, 2], "value": [number, 4], "text": ["a", "b"]}, SCHEMA), unfinished)
    without_a_key_of_ours(monkeypatch)
    with DuckdbEngine(Local(files=LakeFiles())) as engine:
        for _ in range(10):  # DuckDB's threads look into the files: they waited for Python's lock, sooner or later
            summed = by_key(engine.open(files, SCHEMA), ["key"], sums).sort("key").collect()
            assert summed.to_native().to_pydict()["value"] == [3, 12]
        loaded = engine._connection.execute("select current_setting('autoload_known_extensions')").fetchone()
    assert loaded == (False,)
    assert not list(tmp_path.iterdir())


def sums(frame: Frame) -> Frame:
    """One row per key."""
    return frame.group_by("key").agg(nw.col("value").sum(), nw.col("text").max())
