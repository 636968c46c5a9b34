"""Housekeeping: what somebody needs stays and reads as before, what nobody needs goes, and nights go on as before."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import DeltaError

from include.build.definition import definition
from include.contract import Table
from include.contract.types import day_number
from include.lake import storage, writes
from include.lake import tables as lake
from include.ledger import builds, runs
from include.ledger.migrations import prepare
from include.ledger.runs import Run
from include.pipeline import housekeeping, nightly, republish
from include.pipeline.housekeeping import Limits
from include.pipeline.run_request import WrongRequest
from include.serve import page
from include.settings import settings
from include.sources import shop_sources
from tests.nights import LAST_DAY, Nights
from transforms.registry import TABLES

ALL = [one.table for one in TABLES.values()]


def later(**more: float) -> datetime:
    """An instant that makes everything that tests have just written old."""
    return datetime.now(UTC) + timedelta(hours=1, **more)


def change_some(nights: Nights) -> None:
    """What a day brings: a customer comes, a few lines cost more, an order is cancelled."""
    nights.shop.execute(
        "insert into customers (email, name, country, created_at)"
        " values (gen_random_uuid() || '@shop.example', 'New', 'DE', '2026-03-31 12:00 UTC')"
    )
    nights.shop.execute(
        "update order_items set unit_cost = unit_cost + 1, updated_at = now()"
        " where order_item_id in (select order_item_id from order_items order by random() limit 7)"
    )
    nights.shop.execute(
        "update orders set status = 'cancelled', cancelled_at = now(), cancelled_by = 'shop', updated_at = now(),"
        " cancellation_reason = 'test' where order_id = (select max(order_id) from orders where status = 'pending')"
    )


def read(files: list[str], where: str = "true") -> tuple[int, int]:
    """How many rows files hold, and a hash of them, in whatever order."""
    names = [str(file) for file in files]
    if not names:
        return 0, 0
    found = duckdb.execute(
        f"select count(*), coalesce(bit_xor(hash(row)), 0) from read_parquet($1) as row where {where}", [names]
    ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def published_rows(nights: Nights, since: datetime) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Per publication and table: what its version in the lake holds; of a feature set, what was published of it."""
    rows = {}
    entered = nights.ask(
        """
        select publication_id, schema_name, table_name, lake_version, night
        from audit.publication_tables join audit.publications using (publication_id)
        where published_at >= %(since)s or schema_name = 'features'
        union all
        select publication_id, 'clean', source, clean_version, night
        from audit.publication_sources join audit.publications using (publication_id) where published_at >= %(since)s
        """.replace("%(since)s", f"'{since.isoformat()}'")
    )
    for publication, schema, name, version, day in entered:
        where = "true"
        if schema == "features":
            rebuild = TABLES[name].table.rebuild
            where = f"{rebuild.column} = {day_number(rebuild.slice_of(day))}"
            files = lake.slice_files(schema, name, version, rebuild.column or "", day_number(rebuild.slice_of(day)))
        else:
            files = lake.files(schema, name, version)
        rows[publication, schema, name, version] = read(list(files), where)
    return rows


def goes_on(nights: Nights, day: Any) -> Mapping[str, bool]:
    """Of each table that is rebuilt by a column, whether the next night can go on from its last build."""
    run = Run("next", day, day)

    def can(table: Table) -> bool:
        one = TABLES[table.name]
        known = shop_sources(settings().sources)
        defined = definition(one.code, [known[name] for name in one.sources])
        base = builds.find_base(run, table, lake.settled_version(table.schema, table.name), defined)
        if base is None:
            return False
        for name, since in base.inputs.items():
            layer, _, read_table = name.partition(".")
            if lake.changes(layer, read_table, since, lake.version(layer, read_table) or 0) is None:
                return False
        return True

    return {table.name: can(table) for table in nights.reporting if table.rebuild.kind == "by"}


def everything() -> dict[Path, tuple[int, int]]:
    """Every file of the lake and of the pages, with its size and when it was written."""
    found = [
        file
        for place in (Path(settings().lake), Path(settings().reports))
        for file in place.rglob("*")
        if file.is_file()
    ]
    return {file: (file.stat().st_size, file.stat().st_mtime_ns) for file in found}


@pytest.mark.after_a_night
@pytest.mark.long
def test_what_publications_need_stays_and_nights_go_on(nights: Nights) -> None:
    (first_run,), (first_features,) = nights.ask("select run_id from audit.runs order by started_at")
    change_some(nights)
    [(since,)] = nights.ask("select now()")
    tomorrow, next_day = LAST_DAY + timedelta(days=1), LAST_DAY + timedelta(days=2)
    nights.report(tomorrow)
    nights.feature(LAST_DAY)  # the first day's slice is published a second time, changed
    assert len(lake.files("clean", "customers")) > 1
    compacted = housekeeping.compact(ALL, dry_run=False, most_small=1)
    assert {"clean.customers", "reporting.daily_sales"} <= set(compacted)
    assert {name.split(".")[0] for name in compacted} == {"clean", "reporting"}
    assert len(lake.files("clean", "customers")) == 1
    assert set(goes_on(nights, next_day).values()) == {True}
    change_some(nights)
    nights.report(next_day)

    needed = published_rows(nights, since)
    [(oldest,)] = nights.ask("select min(clean_version) from audit.publication_sources where source = 'order_items'")
    orphan = Path(settings().lake) / "clean" / "orders" / "part-00000-of-a-commit-that-broke.parquet"
    orphan.write_bytes(b"rows")
    unnamed = Path(lake.changes_file("clean", "orders"))
    unnamed.write_bytes(b"changes")
    limits = Limits(keep_since=since, safe_since=later())
    for _ in range(2):  # what it takes out of a table goes from the disk with the next run
        housekeeping.forget_runs(limits, dry_run=False)
        housekeeping.forget_entries(limits, dry_run=False)
        gone = housekeeping.remove_files(limits, ALL, dry_run=False)
    assert gone == {}
    assert published_rows(nights, since) == needed
    assert {version[1] for version in needed} == {"clean", "reporting", "features"}
    assert not orphan.exists()
    assert not unnamed.exists()
    with pytest.raises(duckdb.IOException, match="No files found"):
        read(lake.named_files("clean", "order_items", oldest))
    assert lake.runs("raw", "orders").isdisjoint({first_run})
    assert nights.ask("select count(*) from audit.builds where run_id in (%s, %s)", first_run, first_features) == [(0,)]
    assert nights.ask("select count(*) from audit.runs where run_id in (%s, %s)", first_run, first_features) == [(2,)]
    assert "<html" in page.render(first_run)

    assert set(goes_on(nights, next_day).values()) == {True}
    change_some(nights)
    nights.report(next_day)
    incremental = nights.published()
    nights.report(next_day, full_refresh=True)
    assert nights.published() == incremental


@pytest.mark.after_a_night
def test_versions_that_were_replaced_stay_as_long_as_their_publication(nights: Nights) -> None:
    """And of a feature set, what was published of it stays when nothing else of its publication does."""
    ever = datetime(2000, 1, 1, tzinfo=UTC)
    needed = published_rows(nights, ever)
    for _, layer, name, version in needed:
        emptied = pq.read_schema(lake.files(layer, name, version)[0]).empty_table()
        assert writes.replace(layer, name, emptied.to_reader()) > version
    nights.warehouse.execute("update audit.builds set lake_version = lake_version + 1, inputs = null")
    nights.warehouse.execute("update audit.source_counts set clean_version = clean_version + 1")
    housekeeping.remove_files(Limits(ever, later()), ALL, dry_run=False)
    assert published_rows(nights, ever) == needed

    for dag in ("nightly", "features"):
        nights.warehouse.execute(
            f"""
            with again as (
                insert into audit.publications (run_id, night, horizon, snapshot_at)
                select run_id, publications.night, publications.horizon, publications.snapshot_at
                from audit.publications join audit.runs using (run_id)
                where dag = '{dag}' returning publication_id, run_id
            )
            insert into audit.publication_tables
            select again.publication_id, schema_name, table_name, lake_version + 1, rows, 0, 0, true
            from again join audit.publications using (run_id) join audit.publication_tables as before
                on before.publication_id = publications.publication_id
            """.encode()
        )
    housekeeping.remove_files(Limits(later(), later()), ALL, dry_run=False)
    for (publication, layer, name, version), rows in needed.items():
        if layer == "features":
            assert published_rows(nights, later())[publication, layer, name, version] == rows
        if layer == "reporting":
            with pytest.raises(duckdb.IOException, match="No files found"):
                read(lake.named_files(layer, name, version))


@pytest.mark.after_a_night
def test_with_no_retention_at_all_the_last_night_can_be_published_again(nights: Nights) -> None:
    before, needed = nights.published(), published_rows(nights, datetime(2000, 1, 1, tzinfo=UTC))
    limits = Limits(later(), later())
    for step in (housekeeping.forget_runs, housekeeping.forget_entries):
        step(limits, dry_run=False)
    housekeeping.remove_files(limits, ALL, dry_run=False)
    assert published_rows(nights, datetime(2000, 1, 1, tzinfo=UTC)) == needed
    republish.begin("again", {"night": LAST_DAY.isoformat()})
    republish.publish("again", nights.reporting)
    assert nights.published() == before
    assert nights.ask("select sum(inserted + deleted) from audit.publication_tables where publication_id = 3") == [(0,)]


@pytest.mark.after_a_night
def test_what_may_be_in_use_stays(nights: Nights) -> None:
    """A reader has opened a version that was replaced just now; a writer has not committed yet."""
    opened = lake.files("quarantine", "customers") + lake.files("clean", "customers")
    before = read(opened)
    rows = pa.table({"customer_id": pa.array([1], pa.int64())}).to_reader()
    writes.replace("clean", "customers", rows)
    writes.forget_run("raw", "customers", *lake.runs("raw", "customers"))
    for file in map(Path, opened):
        os.utime(file, (0, 0))  # written long ago; but the latest until a moment ago
    writing = [
        Path(settings().lake) / "clean" / "orders" / "part-1.parquet",
        Path(lake.changes_file("clean", "orders")),
    ]
    for file in writing:
        storage.write(str(file), b"rows")
    nights.warehouse.execute("delete from audit.publication_sources; delete from audit.source_counts")
    nights.warehouse.execute("update audit.builds set inputs = null")
    now = datetime.now(UTC)
    assert housekeeping.remove_files(Limits(now, now - timedelta(hours=1)), ALL, dry_run=False) == {}
    assert read(opened) == before
    assert all(file.exists() for file in writing)
    assert set(housekeeping.remove_files(Limits(now, later()), ALL, dry_run=False)) >= {
        "clean.customers",
        "raw.customers",
    }


@pytest.mark.after_a_night
def test_a_dry_run_changes_nothing_and_says_what_would_go(nights: Nights, caplog: pytest.LogCaptureFixture) -> None:
    dead = Path(settings().lake) / "scratch" / "tmp-of-a-dead-process" / "rows.parquet"
    dead.parent.mkdir(parents=True)
    dead.write_bytes(b"rows")
    [(run,)] = nights.ask("select run_id from audit.runs where dag = 'nightly'")
    report = Path(nightly.report(run) or "")
    runs.open_run(Run("never-published", LAST_DAY, LAST_DAY))
    runs.finish_run("never-published", "failed")
    (Path(settings().reports) / "never-published").mkdir()
    (Path(settings().reports) / "never-published" / "index.html").write_text("a page")
    counts = "select (select count(*) from audit.runs), (select count(*) from audit.builds)"
    before, entries = everything(), nights.ask(counts)
    limits = Limits(later(), later())

    def tidy(*, dry_run: bool) -> list[dict[str, Any]]:
        return [
            housekeeping.compact(ALL, dry_run=dry_run, most_small=0),
            housekeeping.forget_runs(limits, dry_run=dry_run),
            housekeeping.forget_entries(limits, dry_run=dry_run),
            housekeeping.remove_files(limits, ALL, dry_run=dry_run),
        ]

    with caplog.at_level("INFO", logger="include.pipeline.housekeeping"):
        told = tidy(dry_run=True)
    assert (everything(), nights.ask(counts)) == (before, entries)
    assert f"would go: {dead}" in caplog.text
    assert "dry run, nothing is changed; rows of the ledger: " in caplog.text
    assert told == tidy(dry_run=False)
    assert told[1]["pages"] == 1
    assert told[3]["scratch"] == {"files": 1, "bytes": 4}
    assert (dead.parent.exists(), (Path(settings().reports) / "never-published").exists()) == (False, False)
    assert report.exists()
    assert nights.ask("select count(*) from audit.runs where run_id = 'never-published'") == [(0,)]


@pytest.mark.after_a_night
def test_a_table_whose_latest_files_are_not_there_is_left_alone(nights: Nights) -> None:
    Path(lake.files("clean", "orders")[0]).unlink()
    orphan = Path(settings().lake) / "clean" / "orders" / "part-1.parquet"
    orphan.write_bytes(b"rows")
    with pytest.raises(RuntimeError, match=r"clean.orders: its latest version names files that are not there"):
        housekeeping.remove_files(Limits(later(), later()), nights.tables, dry_run=False)
    assert orphan.exists()


@pytest.mark.after_a_night
def test_the_ledger_keeps_what_is_open(nights: Nights) -> None:
    for run in ("held", "closed", "interrupted", "running", "forgotten"):
        runs.open_run(Run(run, LAST_DAY, LAST_DAY))
        runs.finish_run(run, "running" if run == "running" else "failed")
    nights.warehouse.execute("update audit.runs set accepting = true where run_id = 'interrupted'")
    nights.warehouse.execute(
        """
        insert into audit.quarantine
            (source, row_key, rules, row_values, amount, quarantined_by, outcome, resolved_by, resolved_at)
        values ('orders', '1', '{x}', '{}', 0, 'held', 'open', null, null),
            ('orders', '2', '{x}', '{}', 0, 'closed', 'released', 'closed', now())
        """
    )
    nights.warehouse.execute(
        """
        insert into audit.incidents (kind, night, dag, reason, message, opened_at, closed_at)
        values ('failed', '2026-03-30', 'nightly', 'x', 'x', now(), now()),
            ('failed', '2026-03-31', 'nightly', 'x', 'x', now(), null)
        """
    )
    nights.warehouse.execute("create table audit.noted (run_id text references audit.runs (run_id))")
    forgotten = housekeeping.forget_entries(Limits(later(), later()), dry_run=False)
    assert nights.ask("select run_id from audit.runs where run_id not like 'test-%%' order by 1") == [
        ("held",),
        ("interrupted",),
        ("running",),
    ]
    assert nights.ask("select row_key from audit.quarantine where row_key in ('1', '2')") == [("1",)]
    assert (forgotten["quarantine"], forgotten["incidents"], forgotten["runs"]) == (1, 1, 2)
    assert nights.ask("select night from audit.incidents") == [(LAST_DAY,)]
    assert nights.ask("select count(*) from audit.publications") == [(2,)]


@pytest.mark.usefixtures("nights")
def test_a_version_that_is_lost_is_not_a_table_without_rows() -> None:
    """And the log stays for longer than Delta would keep it, until nothing needs its versions."""

    def rows(number: int) -> pa.RecordBatchReader:
        return pa.table({"number": [number]}).to_reader()

    folder = Path(lake.folder("clean", "orders"))
    write_deltalake(folder, rows(0), configuration={"delta.checkpointInterval": "5"})
    for number in range(1, 7):
        writes.replace("clean", "orders", rows(number))
    long_ago = time.time() - 60 * 24 * 3600
    for file in (folder / "_delta_log").iterdir():
        os.utime(file, (long_ago, long_ago))
    for number in range(7, 12):
        writes.replace("clean", "orders", rows(number))
    assert len(lake.files("clean", "orders", 1)) == 1

    prepare()
    housekeeping.remove_files(Limits(later(), later()), ALL, dry_run=False)
    assert [file.name for file in folder.glob("*.parquet")] == [
        Path(file).name for file in lake.files("clean", "orders")
    ]
    assert len(lake.files("clean", "orders", 11)) == 1
    with pytest.raises(DeltaError, match=r"the lake no longer has version 1 of clean.orders"):
        lake.files("clean", "orders", 1)
    writes.replace("clean", "orders", rows(12))
    assert lake.version("clean", "orders") == 12


@pytest.mark.usefixtures("nights")
def test_a_form_with_something_unknown_is_refused() -> None:
    with pytest.raises(WrongRequest, match="unknown parameter dryrun; there is dry_run"):
        housekeeping.check({"dryrun": True})
    housekeeping.check({"dry_run": True})
