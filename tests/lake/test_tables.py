"""The lake's log: what it tells of a table while others write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from include.lake import tables as lake
from include.lake import writes

pytestmark = pytest.mark.usefixtures("own_lake")


def write(number: int) -> None:
    """Commit a version of a table, which names a file of changes."""
    rows = pa.table({"key": [number]})
    writes.replace("reporting", "things", rows.to_reader(), Path(f"changes-{number}") if number else None)


def test_a_commit_that_comes_while_the_log_is_read_takes_no_other_ones_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        write(number)
    history, coming = DeltaTable.history, [3, 4]

    def late(table: DeltaTable, limit: int | None = None) -> list[dict[str, Any]]:
        if coming:
            write(coming.pop(0))
        return history(table, limit)

    monkeypatch.setattr(DeltaTable, "history", late)
    told = [(commit.version, commit.changes and commit.changes.name) for commit in lake.commits("reporting", "things")]
    assert told == [(4, "changes-4"), (3, "changes-3"), (2, "changes-2"), (1, "changes-1"), (0, None)]
