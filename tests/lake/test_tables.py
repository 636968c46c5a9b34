"""The lake's log: what it tells of a table while others write it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from include.lake import storage, writes
from include.lake import tables as lake

pytestmark = pytest.mark.usefixtures("own_lake")


def write(number: int) -> None:
    """Commit a version of a table, which names a file of changes."""
    rows = pa.table({"key": [number]})
    writes.replace("reporting", "things", rows.to_reader(), f"changes-{number}" if number else None)


def test_a_commit_that_comes_while_the_log_is_read_takes_no_other_ones_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        write(number)
    history, coming = DeltaTable.history, [3, 4]

    def late(table: DeltaTable, limit: int | None = None) -> list[dict[str, Any]]:
        if coming:
            write(coming.pop(0))
        return history(table, limit)

    monkeypatch.setattr(DeltaTable, "history", late)
    told = [
        (commit.version, commit.changes and storage.name_of(commit.changes))
        for commit in lake.commits("reporting", "things")
    ]
    assert told == [(4, "changes-4"), (3, "changes-3"), (2, "changes-2"), (1, "changes-1"), (0, None)]


def test_what_was_read_of_a_version_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    write(0)
    before = lake.stored("reporting", "things")
    monkeypatch.setattr("include.lake.opened.DeltaTable", None)
    assert lake.stored("reporting", "things") == lake.stored("reporting", "things", 0) == before


def test_a_version_that_is_written_is_the_latest_from_then_on() -> None:
    for number in range(3):
        write(number)
        assert lake.version("reporting", "things") == number
        assert lake.stored("reporting", "things") == lake.stored("reporting", "things", number)
    assert lake.stored("reporting", "things", 0) != lake.stored("reporting", "things")


def test_a_table_that_is_made_anew_has_its_own_files() -> None:
    write(0)
    before = lake.files("reporting", "things")
    shutil.rmtree(Path(lake.folder("reporting", "things")))
    assert lake.files("reporting", "things") == []
    assert lake.version("reporting", "things") is None
    with pytest.raises(DeltaError):
        writes.merge("reporting", "things", ["key"], pa.table({"key": [1], "gone": [False]}).to_reader(), "gone")
    write(0)
    assert lake.files("reporting", "things") != before
    assert all(map(Path.exists, map(Path, lake.files("reporting", "things"))))


def test_a_file_that_goes_missing_is_missed_in_a_version_that_was_read() -> None:
    write(0)
    (file,) = lake.files("reporting", "things")
    Path(file).unlink()
    with pytest.raises(lake.Damaged, match="is missing"):
        lake.files("reporting", "things")
