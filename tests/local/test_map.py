"""make map from the command line: what it prints, how it ends, and that it writes to no lake."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include.settings import ROOT
from tests import bookshop
from tests.conftest import Database

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def local(shop_database: Database, tmp_path: Path) -> Iterator[Callable[..., Done]]:
    """Run a command on the bookshop, with all state in a folder of the test."""
    bookshop.write(tmp_path / "books")
    with shop_database.connect("shopkeeper") as database:
        bookshop.fill(database)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STOCKTAKE_")}
    own = {
        "SHOP": "",
        "STOCKTAKE_STATE": str(tmp_path / "state"),
        "STOCKTAKE_SOURCES": str(tmp_path / "books"),
        "STOCKTAKE_SHOP_URL": shop_database.url("extractor"),
        "STOCKTAKE_TIMEZONE": "Europe/Berlin",
    }

    def run(*command: str) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "include.local", *command],
            env={**inherited, **own}, cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

    yield run
    run("stop")


@pytest.mark.long
def test_it_ends_well_only_where_a_night_could_run(local: Callable[..., Done], tmp_path: Path) -> None:
    fits = local("map")
    assert (fits.returncode, fits.stdout.splitlines()[-1]) == (0, "A night would publish")
    assert not (tmp_path / "state").exists()  # neither a lake nor a server, nor a folder for them

    file = tmp_path / "books" / "orders.sql"
    file.write_text(file.read_text().replace("bestellt at time zone 'Europe/Berlin'", "bestellt"))
    wrong = local("map")
    assert wrong.returncode == 1
    assert "orders.sql:14: ordered_at is timestamp without time zone" in wrong.stdout
    assert "A night would stop" in wrong.stdout
    assert "Traceback" not in wrong.stderr + fits.stderr
