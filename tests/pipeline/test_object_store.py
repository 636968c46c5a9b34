"""A lake in an object store: every kind of run, and the same rows as from a lake in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from include.lake import storage
from include.pipeline import housekeeping, training_set
from include.pipeline.housekeeping import Limits
from include.pipeline.training_set import make
from include.settings import settings
from tests.conftest import Done
from tests.nights import FEW, LAST_DAY, Nights
from tests.object_server import ObjectServer
from tests.pipeline.test_republish import let_a_day_pass, put_back, reporting

TOMORROW = LAST_DAY + timedelta(days=1)


@pytest.fixture
def in_bucket(object_server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A lake in a bucket, from now on."""
    for name, value in object_server.variables(f"nights/{tmp_path.name}").items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield settings().lake
    settings.cache_clear()


def digests(nights: Nights) -> list[tuple[object, ...]]:
    """Of every build, with its rows."""
    return nights.ask(
        "select schema_name, table_name, night, rows, digest from audit.builds join audit.runs using (run_id) order by built_at"
    )


@pytest.mark.long
def test_every_kind_of_run_does_what_it_does_with_a_lake_in_a_folder(
    nights: Nights, in_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.run()
    first = reporting(nights)
    let_a_day_pass(nights)
    nights.run(TOMORROW)
    second = reporting(nights)
    assert first != second
    put_back(nights)
    assert reporting(nights) == first
    nights.run(TOMORROW)
    assert reporting(nights) == second
    assert not (tmp_path / "lake").exists()
    assert storage.folders(in_bucket) == [
        "changes", "clean", "features", "gate", "gone", "kept", "quarantine", "raw", "reporting", "sums",
    ]  # fmt: skip
