"""Exports as a run writes them: when it is killed, cancelled or in the way, and in how much memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pyarrow as pa
import pytest
from psycopg.sql import SQL, Identifier

from include.contract import Table, Type
from include.contract.ddl import create_table
from include.lake import export_files, storage
from include.ledger import exports as ledger
from include.ledger import retention
from include.ledger.exports import Asked, Export
from include.ledger.runs import Run, open_run
from include.pipeline import exports, housekeeping
from include.pipeline.exports import GivesWay, WrongExport
from include.pipeline.housekeeping import Limits
from include.pipeline.run_request import WrongRequest
from include.pipeline.troubles import ERRORS_THAT_MAY_PASS
from include.settings import ROOT, settings
from include.sources import shop_tables
from tests.conftest import Database
from transforms.registry import TABLES

NIGHT = date(2026, 11, 21)
NAME = "reporting.inventory_daily"
VALUES = {
    Type.DAY: "date '2026-01-01' + n % 300",
    Type.TEXT: "'text ' || n",
    Type.BOOLEAN: "n % 2 = 0",
    Type.CENTS: "n / 100.0",
    Type.RATIO: "n / 7.0",
}
# What a run does, by a process that can be killed.
WRITE = """
import resource, sys
from include.pipeline import exports
exports.BATCH, exports._EVERY = int(sys.argv[2]), float(sys.argv[3])
exports.write({"export": sys.argv[1]}, "a run")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.fixture
def warehouse(empty_ledger: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A published table without rows, and the settings of a task."""
    monkeypatch.setenv("STOCKTAKE_ANALYST_URL", empty_ledger.url("analyst"))
    monkeypatch.setenv("STOCKTAKE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("STOCKTAKE_REPORTS", str(tmp_path / "reports"))
    settings.cache_clear()
    open_run(Run("a night", NIGHT, NIGHT))
    with empty_ledger.connect("loader") as connection:
        connection.execute(create_table(_table()))
        connection.execute(
            """
            insert into audit.publications (run_id, night, horizon, snapshot_at)
            values ('a night', '2026-11-21', '2026-11-21', now());
            insert into audit.publication_tables
            values (1, 'reporting', 'inventory_daily', 0, 1, 1, 0, true);
            """
        )
    return empty_ledger


@pytest.fixture
def fill(warehouse: Database) -> Callable[[int], None]:
    """Have the table hold so many rows."""

    def filled(rows: int) -> None:
        names = [column.name for column in _table().columns]
        values = ", ".join(VALUES.get(column.type, "n") for column in _table().columns)
        insert = SQL("insert into {} ({}, _publication_id) select {}, 1 from generate_series(1, {}) as n").format(
            Identifier(*NAME.split(".")), SQL(", ").join(map(Identifier, names)), SQL(values), rows
        )
        with warehouse.connect("loader") as connection:
            connection.execute(insert)

    return filled


def _table() -> Table:
    return shop_tables([TABLES["inventory_daily"].table], settings().sources)[0]


def asked(form: str = "csv", sort: str | None = None) -> Export:
    """An export that was asked for."""
    found = ledger.enter("viewer", Asked(NAME, None, [], sort, form, False, 1), 99)
    assert found is not None
    return found


def now(export: Export) -> Export:
    found = ledger.find(export.export_id)
    assert found is not None
    return found


def write(export: Export) -> int | None:
    return exports.write({"export": str(export.export_id)}, export.run_id)


def files() -> list[str]:
    return [one.name for one in export_files.there()]


def soon(holds: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def process(export: Export, batch: int, every: float) -> subprocess.Popen[str]:
    """A run in a process of its own."""
    command = [sys.executable, "-c", WRITE, str(export.export_id), str(batch), str(every)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.long
def test_a_killed_run_leaves_no_half_file_and_the_next_begins_from_nothing(fill: Callable[[int], None]) -> None:
    fill(30_000)
    export = asked()
    with process(export, 20, 0) as running:
        soon(lambda: now(export).rows_done > 1000)
        running.send_signal(signal.SIGKILL)
    killed = now(export)
    assert (killed.state, killed.file, killed.rows_to_do) == ("running", None, 30_000)
    assert files() == [f"{export.export_id}-1.csv.part"]
    assert write(export) == 30_000
    done = now(export)
    assert (done.state, done.tries, done.rows_done) == ("done", 2, 30_000)
    assert files() == [done.file] == [f"{export.export_id}-2.csv"]
    content = b"".join(export_files.pieces(str(done.file)))
    assert (len(content), content.count(b"\r\n")) == (done.bytes, 30_001)


def test_a_run_stops_when_its_export_is_cancelled(fill: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    fill(5_000)
    export = asked()
    monkeypatch.setattr(exports, "BATCH", 5)
    monkeypatch.setattr(exports, "_EVERY", 0)
    with ThreadPoolExecutor(1) as elsewhere:
        running = elsewhere.submit(write, export)
        soon(lambda: now(export).rows_done > 0)
        assert ledger.cancel(export.export_id)
        assert running.result() is None
    assert (now(export).state, files()) == ("cancelled", [])


def test_a_run_that_was_taken_for_dead_changes_nothing_any_more(fill: Callable[[int], None]) -> None:
    fill(10)
    export = asked()
    first = ledger.begin(export.export_id, "first")
    assert first is not None
    assert write(export) == 10
    assert not ledger.progress(first, 1, 5, 10)
    assert not ledger.tried(first, "it lives")
    assert not ledger.finish(first, "its file", 1, 10, timedelta(days=1))
    assert (now(export).state, now(export).file, now(export).error) == ("done", f"{export.export_id}-2.csv", None)
    assert write(export) is None, "what is done is not done again"


def test_an_export_gives_way_to_who_alters_its_table(
    warehouse: Database, fill: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(1_000)
    export = asked()
    monkeypatch.setattr(exports, "BATCH", 5)
    monkeypatch.setattr(exports, "_EVERY", 0)
    with ThreadPoolExecutor(1) as elsewhere, warehouse.connect("loader") as connection:
        running = elsewhere.submit(write, export)
        soon(lambda: now(export).rows_done > 0)
        connection.execute("set lock_timeout = '30s'")
        connection.execute("alter table reporting.inventory_daily add column more integer")
        with pytest.raises(GivesWay):
            running.result()
    assert issubclass(GivesWay, OSError)
    assert "builtins.OSError" in ERRORS_THAT_MAY_PASS, "so it is tried again"
    assert (now(export).state, files()) == ("queued", [])
    assert "goes first" in (now(export).error or "")
    monkeypatch.setattr(exports, "BATCH", 1_000)
    assert write(export) == 1_000


def test_who_only_changes_rows_waits_for_no_export(
    warehouse: Database, fill: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the export holds the rows of its beginning."""
    fill(800)
    export = asked(sort="day")
    monkeypatch.setattr(exports, "BATCH", 5)
    monkeypatch.setattr(exports, "_EVERY", 0)
    with ThreadPoolExecutor(1) as elsewhere, warehouse.connect("loader") as connection:
        running = elsewhere.submit(write, export)
        soon(lambda: now(export).rows_done > 0)
        connection.execute("set lock_timeout = '5s'")
        connection.execute("delete from reporting.inventory_daily")
        assert now(export).state == "running"
        assert running.result() == 800


def test_a_statement_that_takes_too_long_is_not_tried_again(
    warehouse: Database, fill: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(1)
    export = asked()
    monkeypatch.setattr(exports, "STATEMENT_SECONDS", 1)
    with psycopg.connect(warehouse.url("loader")) as holder:
        holder.execute("lock table reporting.inventory_daily in access exclusive mode")
        with pytest.raises(WrongExport, match="filter by a column of the key"):
            write(export)
    assert "filter by a column of the key" in (now(export).error or "")


def test_a_disk_that_takes_no_file_is_told_of_as_such(fill: Callable[[int], None], tmp_path: Path) -> None:
    fill(1)
    export = asked()
    (tmp_path / "lake").mkdir(exist_ok=True)
    (tmp_path / "lake" / "exports").write_text("no folder")
    with pytest.raises(OSError, match="exists"):
        write(export)
    assert now(export).error == "the file could not be written: File exists"


@pytest.mark.usefixtures("warehouse")
def test_a_run_is_told_an_export_that_there_is() -> None:
    with pytest.raises(WrongRequest, match="there is no export"):
        exports.write({"export": str(uuid4())}, "a run")
    with pytest.raises(WrongRequest, match="its id"):
        exports.write({"export": "mine"}, "a run")
    with pytest.raises(WrongRequest, match="expert"):
        exports.write({"expert": str(uuid4())}, "a run")


def test_housekeeping_removes_what_has_expired_and_what_killed_runs_left(
    warehouse: Database, fill: Callable[[int], None], tmp_path: Path
) -> None:
    fill(10)
    fresh, old = asked(), asked("parquet")
    assert [write(fresh), write(old)] == [10, 10]
    forgotten, waiting = asked(), asked()
    folder = tmp_path / "lake" / "exports"
    (folder / f"{uuid4()}-1.csv.part").write_text("half")
    (folder / f"{waiting.export_id}-1.csv.part").write_text("half")
    long_ago = time.time() - 30 * 24 * 3600
    for file in folder.iterdir():
        if str(waiting.export_id) not in file.name:
            os.utime(file, (long_ago, long_ago))
    with warehouse.connect("loader") as connection:
        connection.execute("update audit.exports set expires_at = now() where export_id = %s", [old.export_id])
        connection.execute(
            "update audit.exports set asked_at = now() - interval '2 days' where export_id = %s", [forgotten.export_id]
        )
    at, before = datetime.now(UTC), files()
    told = housekeeping.remove_exports(Limits.at(at), at, dry_run=True)
    assert (files(), now(old).state, now(forgotten).state) == (before, "done", "queued")
    assert housekeeping.remove_exports(Limits.at(at), at, dry_run=False) == told
    assert told["files"] == 2
    assert set(files()) == {now(fresh).file, f"{waiting.export_id}-1.csv.part"}
    assert (now(fresh).state, now(old).state, now(waiting).state) == ("done", "expired", "queued")
    assert (now(forgotten).state, now(forgotten).error) == ("failed", "its run is gone: ask for it again")
    assert housekeeping.remove_exports(Limits.at(at), at, dry_run=False) == {}
    later = at + timedelta(hours=1)
    assert retention.forget(later, dry_run=False)["exports"] == 2
    assert {one.export_id for one in ledger.of_user("viewer", 9)} == {fresh.export_id, waiting.export_id}


def test_an_export_that_was_forgotten_takes_nobodys_place(warehouse: Database) -> None:
    wanted = Asked(NAME, None, [], None, "csv", False, 1)
    assert ledger.enter("viewer", wanted, 1)
    assert ledger.enter("viewer", wanted, 1) is None
    assert ledger.enter("operator", wanted, 1)
    with warehouse.connect("loader") as connection:
        connection.execute("update audit.exports set asked_at = now() - interval '2 days'")
    assert ledger.enter("viewer", wanted, 1)


@pytest.mark.usefixtures("warehouse")
def test_two_requests_at_once_find_one_place() -> None:
    wanted = Asked(NAME, None, [], None, "csv", False, 1)
    with ThreadPoolExecutor(8) as users:
        entered = list(users.map(lambda _: ledger.enter("viewer", wanted, 3), range(8)))
    assert len([one for one in entered if one]) == 3


@pytest.mark.usefixtures("warehouse")
def test_files_are_listed_while_others_are_finished_and_removed() -> None:
    for number in range(200):
        with export_files.written(f"{number}.csv"):
            pass

    def finish_and_remove() -> None:
        for number in range(200):
            with export_files.written(f"1-{number}.csv"):
                pass
            export_files.remove(f"1-{number}.csv")

    with ThreadPoolExecutor(1) as other:
        writing = other.submit(finish_and_remove)
        while not writing.done():
            assert len(files()) in (200, 201)
        writing.result()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (psycopg.OperationalError("the server\nwent away"), "the warehouse: the server"),
        (psycopg.OperationalError(), "the warehouse: OperationalError"),
        (OSError(28, "No space left on device"), "the file could not be written: No space left on device"),
        (RuntimeError("s3cret"), "RuntimeError: the log of the run says more"),
    ],
)
def test_who_asked_is_told_why(error: Exception, said: str) -> None:
    assert exports._why(error) == said


@pytest.mark.long
@pytest.mark.parametrize("form", ["csv", "parquet", "arrow"])
def test_a_million_rows_take_the_memory_of_some(fill: Callable[[int], None], form: str) -> None:
    """As the largest table comes, and sorted by what has no index."""
    fill(50_000)
    with process(asked(form), exports.BATCH, 1) as few:
        some = int(few.communicate()[0])
    fill_more = 950_000
    with psycopg.connect(settings().warehouse_url.get_secret_value()) as connection:
        columns = ", ".join(column.name for column in _table().columns if column.name not in ("day", "product_id"))
        connection.execute(
            f"insert into reporting.inventory_daily (day, product_id, {columns}, _publication_id)"
            f" select '2025-01-01', -n, {columns}, 1 from reporting.inventory_daily"
            f" cross join generate_series(1, {fill_more // 50_000}) as n".encode()
        )
    export = asked(form, sort="-warehouse_id")
    with process(export, exports.BATCH, 1) as many:
        most = int(many.communicate()[0])
    done = now(export)
    assert (done.state, done.rows_done, done.rows_to_do) == ("done", 1_000_000, 1_000_000)
    assert most < some + 100
    if form == "arrow":
        with pa.OSFile(storage.in_lake("exports", str(done.file))) as file:
            reader = pa.ipc.open_file(file)
            assert sum(reader.get_batch(number).num_rows for number in range(reader.num_record_batches)) == 1_000_000


def test_ids_are_not_guessed(warehouse: Database) -> None:
    assert warehouse.name
    assert UUID(str(asked().export_id)).version == 4
