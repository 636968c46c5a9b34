"""make map from the command line: what it prints, how it ends, and that it writes to no lake."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from include.contract.arrow import arrow_schema
from include.local.folder_check import check_if_changed
from include.local.profile import profile_named
from include.settings import ROOT
from include.sources import shop_sources
from tests import bookshop
from tests.conftest import Database

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def own(shop_database: Database, tmp_path: Path) -> dict[str, str]:
    """The variables of a person whose shop the bookshop is, with all state in a folder of the test."""
    bookshop.write(tmp_path / "books")
    with shop_database.connect("shopkeeper") as database:
        bookshop.fill(database)
    return {
        "SHOP": "",
        "STOCKTAKE_STATE": str(tmp_path / "state"),
        "STOCKTAKE_SOURCES": str(tmp_path / "books"),
        "STOCKTAKE_SHOP_URL": shop_database.url("extractor"),
        "STOCKTAKE_TIMEZONE": "Europe/Berlin",
    }


@pytest.fixture
def local(own: dict[str, str]) -> Iterator[Callable[..., Done]]:
    """Run a command on the bookshop."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STOCKTAKE_")}

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


@pytest.mark.long
def test_rows_that_earlier_nights_accepted_are_compared_and_left_as_they_are(
    local: Callable[..., Done], tmp_path: Path
) -> None:
    """Of 52 customers of earlier nights the shop has 40: more are gone than nobody is asked about."""
    lake = tmp_path / "state" / "books" / "lake"
    columns = arrow_schema(shop_sources(tmp_path / "books")["customers"])
    rows = [{"customer_id": f"K{number}"} for number in range(1, 53)]
    write_deltalake(lake / "clean" / "customers", pa.Table.from_pylist(rows, columns))
    before = {file: file.stat().st_mtime_ns for file in lake.rglob("*")}
    waits = local("map")
    assert waits.returncode == 0, waits.stderr
    assert waits.stdout.splitlines()[-2] == "A night would wait for an approval"
    assert "customers: 12 of 52 rows are gone from the shop, more than" in waits.stdout.splitlines()[-1]
    assert {file: file.stat().st_mtime_ns for file in lake.rglob("*")} == before


@pytest.mark.long
def test_a_night_on_a_folder_that_cannot_be_read_does_not_begin(local: Callable[..., Done], tmp_path: Path) -> None:
    file = tmp_path / "books" / "orders.sql"
    file.write_text(file.read_text().replace("summe as total", "sume as total"))
    refused = local("nightly")
    assert refused.returncode == 1
    assert "books is new, or has changed since it was checked" in refused.stderr
    assert "the shop has no column sume" in refused.stdout
    assert refused.stderr.strip().endswith("No night has begun. Mend what is listed above, and look with `make map`.")


def test_a_folder_is_checked_once_and_again_when_a_file_of_it_is_another(
    own: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    profile, folder = profile_named("", tmp_path / "state", own["STOCKTAKE_SOURCES"]), tmp_path / "books"

    def printed() -> str:
        check_if_changed(profile, folder)
        return capfd.readouterr().out

    assert printed().splitlines()[-1] == "A night would publish"
    assert printed() == ""
    (folder / "shop.toml").write_text('[money]\nrounding = "half_up"\n')
    assert printed().splitlines()[-1] == "A night would publish"
