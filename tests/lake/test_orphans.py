"""What dead processes left is taken away, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from include.lake import orphans, storage, writes
from include.lake import tables as lake
from include.lake.scratch import scratch
from include.settings import settings


@pytest.fixture(autouse=True)
def _in_a_lake(own_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(own_lake.parent))


def rows(*numbers: int) -> pa.RecordBatchReader:
    return pa.table({"number": numbers}).to_reader()


def everything() -> set[Path]:
    return {file for file in Path(settings().lake).rglob("*") if file.is_file()}


def test_files_that_no_commit_names_go_and_every_version_stays() -> None:
    write_deltalake(lake.folder("clean", "orders"), rows(0), configuration={"delta.checkpointInterval": "3"})
    for number in range(1, 5):
        changes = lake.changes_file("clean", "orders")
        storage.write(changes, b"rows")
        writes.replace("clean", "orders", rows(number), changes)
    before = everything()
    folder = Path(lake.folder("clean", "orders"))
    for file in (
        folder / "part-1.parquet", folder / "part-2.parquet#1", folder / "_delta_log" / "_commit_1.json.tmp",
        Path(lake.changes_file("clean", "orders")),
    ):  # fmt: skip
        file.write_bytes(b"half")
    orphans.clear_table("clean", "orders")
    assert everything() == before


def test_a_lake_whose_files_all_seem_young_loses_none() -> None:
    """As after a copy that kept no times, the log first: nothing goes by its age alone."""
    folder = Path(lake.folder("clean", "orders"))
    write_deltalake(folder, rows(0), configuration={"delta.checkpointInterval": "3"})
    for number in range(1, 8):
        changes = lake.changes_file("clean", "orders")
        storage.write(changes, b"rows")
        writes.replace("clean", "orders", rows(number), changes)
    for file in (folder / "_delta_log").iterdir():
        os.utime(file, (1, 1))
    for old in sorted((folder / "_delta_log").glob("*.json"))[:4]:  # as housekeeping forgets them
        old.unlink()
    before = set(folder.iterdir())
    assert len(before) == 1 + 8
    orphans.clear_table("clean", "orders")
    assert set(folder.iterdir()) == before


def test_what_an_earlier_try_of_a_run_left_goes_and_other_runs_stay() -> None:
    for run in ("one", "other"):
        writes.replace_run("raw", "orders", run, pa.table({"number": [1], lake.RUN: [run]}).to_reader())
    before = everything()
    for run in ("one", "other"):
        (Path(lake.folder("raw", "orders")) / f"{lake.RUN}={run}" / "part-1.parquet").write_bytes(b"half")
    orphans.clear_run("raw", "orders", "one")
    assert {file.parent.name for file in everything() - before} == {f"{lake.RUN}=other"}


def test_a_table_that_was_never_committed_loses_what_was_written_of_it() -> None:
    file = Path(lake.folder("clean", "orders")) / "part-1.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"half")
    orphans.clear_table("clean", "orders")
    assert everything() == set()
    writes.replace("clean", "orders", rows(1))


def test_scratch_of_one_who_died_goes_with_the_next_that_builds_the_table() -> None:
    with scratch("reporting", "orders") as room, scratch("reporting", "products") as other:
        (room.here / "rows.parquet").write_bytes(b"rows")
        kept = Path(shutil.copytree(room.here.parent, room.here.parent.with_suffix(".died")))
    kept.rename(room.here.parent)
    with scratch("reporting", "orders") as room:
        assert list(room.here.parent.iterdir()) == [room.here]
        assert room.shared == str(room.here)
    assert not room.here.parent.exists()
    assert not other.here.parent.exists()


def test_spill_of_dead_processes_goes_and_that_of_living_ones_stays(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folders = [tmp_path / f"stocktake-{process}-a" for process in (dead.pid, os.getpid(), 1)]
    for folder in folders:
        folder.mkdir()
    orphans.clear_spill.__wrapped__()
    assert [folder.exists() for folder in folders] == [False, True, True]
