"""A shop that keeps no movements: its stock is counted every night, and the counts are its history."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from include.lake import tables as lake
from include.ledger import copies
from include.local.embedded_postgres import Cluster
from include.pipeline import housekeeping, nightly
from include.settings import settings
from tests.conftest import Database, Done, nights_between
from tests.contract.medusa import FOLDER, Medusa
from tests.contract.medusa_shop import fill
from tests.nights import LAST_DAY, SHOP_TOML, Nights
from transforms.registry import TABLES

DAYS = [LAST_DAY + timedelta(days=number) for number in range(5)]
STOCK = (
    "order_lines", "daily_product_sales", "inventory_daily", "inventory_health", "stockouts", "inventory_risk",
    "product_demand",
)  # fmt: skip
FIGURES = "day, product_id, warehouse_id, opening_units, unexplained_units, closing_units, reserved, available"
Shelves = dict[tuple[int, int], tuple[int, int]]


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """What is made of stock alone."""
    return ("inventory_daily",)


@pytest.fixture
def counted(nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    """The same shop, whose folder has no movements and whose extractor may not read any."""
    folder = Path(shutil.copytree(settings().sources, tmp_path / "sources"))
    (folder / "inventory_movements.sql").rename(tmp_path / "inventory_movements.sql")
    (folder / "schema.toml").unlink()
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    yield replace(nights, approves=True)
    settings.cache_clear()


def shelves(nights: Nights) -> Shelves:
    """What the shop has on its shelves, and what of it is reserved."""
    found = nights.shop.execute("select product_id, warehouse_id, on_hand, reserved from inventory").fetchall()
    return {(product, warehouse): (on_hand, reserved) for product, warehouse, on_hand, reserved in found}


def published(nights: Nights, day: date) -> Shelves:
    """The same, as it was published for a day."""
    found = nights.ask(
        "select product_id, warehouse_id, closing_units, reserved from reporting.inventory_daily where day = %s", day
    )
    return {(product, warehouse): (closing, reserved) for product, warehouse, closing, reserved in found}


def trade(nights: Nights, number: int) -> None:
    """What happens to the stock on a day: some shelves fill, some are emptied, some units are reserved."""
    nights.shop.execute(
        """
        update inventory set
            on_hand = case when product_id %% 7 = %(number)s then reserved else on_hand + %(number)s end,
            reserved = case when product_id %% 7 = %(number)s then reserved else least(on_hand, reserved + 1) end,
            updated_at = now()
        where product_id %% 3 = %(number)s %% 3
        """,
        {"number": number},
    )


def history(nights: Nights) -> list[tuple[Any, ...]]:
    """Every figure of every day."""
    return nights.ask(f"select {FIGURES} from reporting.inventory_daily order by 1, 2, 3")


def kept() -> list[tuple[Any, ...]]:
    """The counts in the lake, but for when they were taken."""
    files = lake.files("kept", "inventory_counts")
    return duckdb.read_parquet(files).order("all").project("* exclude counted_at").fetchall()


@pytest.mark.long
def test_nothing_is_said_of_a_shelf_for_a_day_before_it_was_counted(counted: Nights, at: Any) -> None:
    """A night of the day before, as a schedule runs it that is turned on later."""
    counted = replace(counted, names=STOCK)
    at(DAYS[1])
    counted.run(DAYS[1])
    counted.run(DAYS[0])
    for rows, column in (("reporting.inventory_health", "night"), ("features.inventory_risk", "as_of")):
        found = counted.ask(f"select {column}, count(*) from {rows} group by 1")
        assert found == [(DAYS[1], len(shelves(counted)))]


@pytest.mark.long
def test_the_counts_of_nights_are_the_history_of_stock(counted: Nights, at: Any) -> None:
    """Every day closes as the shop stood then, and the first night opens it."""
    counted = replace(counted, names=STOCK)
    stood: dict[date, Shelves] = {}
    for number, day in enumerate(DAYS[:3]):
        if number:
            trade(counted, number)
        at(day)
        run = counted.run(day)
        stood[day] = shelves(counted)
        assert {one: published(counted, one) for one in stood} == stood
    assert len({tuple(sorted(one.items())) for one in stood.values()}) == 3
    assert counted.ask("select min(day), max(day) from reporting.inventory_daily") == [(DAYS[0], DAYS[2])]
    assert counted.ask(
        "select sum(opening_units), bool_and(unexplained_units = closing_units), bool_and(received = 0)"
        " from reporting.inventory_daily where day = %s",
        DAYS[0],
    ) == [(0, True, True)]
    assert counted.ask("select count(*) from audit.conservation where not held") == [(0,)]
    assert counted.ask(
        "select count(*) from audit.expectation_results where rule in ('stock_explained', 'reserved_explained')"
        " and broken > 0"
    ) == [(0,)]
    # A shelf that a count found empty is a stock-out, of that day.
    emptied = "select count(*) from reporting.inventory_daily where is_stockout and day = %s"
    started = "select count(*) from reporting.stockouts where started_on = %s"
    assert counted.ask(started, DAYS[1])[0][0] > 0
    assert counted.ask(emptied, DAYS[1])[0][0] >= counted.ask(started, DAYS[1])[0][0]
    assert counted.ask("select count(*) from reporting.inventory_health where night = %s", DAYS[2]) == [
        (len(stood[DAYS[2]]),)
    ]
    # Features say of every day what was counted by then.
    assert counted.ask("select as_of, sum(available) from features.inventory_risk group by 1 order by 1") == [
        (day, sum(on_hand - reserved for on_hand, reserved in stood[day].values())) for day in stood
    ]
    status = dict(counted.ask("select published_table, verdict from reporting.data_status where rows is not null"))
    assert status["reporting.inventory_daily"] == "ok"
    assert copies.clean_versions(run)["inventory_movements"] == lake.version("clean", "inventory_movements")


@pytest.mark.long
def test_no_run_counts_anything_twice_or_loses_what_was_counted(counted: Nights, at: Any) -> None:
    """Neither one that runs again, nor one for an earlier day, nor a full refresh, nor one that builds all anew."""
    for number, day in enumerate(DAYS[:3]):
        trade(counted, number)
        at(day)
        counted.report(day)
    said, counts = history(counted), kept()
    assert len({day for day, *_ in said}) == 3

    version = lake.version("kept", "inventory_counts")
    counted.report(DAYS[2])
    assert lake.version("kept", "inventory_counts") == version
    counted.report(DAYS[0])
    counted.report(DAYS[2], full_refresh=True)
    assert (history(counted), kept()) == (said, counts)

    shutil.rmtree(Path(settings().lake) / "reporting")  # so that every table is built whole
    counted.report(DAYS[2])
    assert history(counted) == said
    shutil.rmtree(Path(lake.folder("clean", "inventory_movements")))  # it is made of the counts
    counted.report(DAYS[2], full_refresh=True)
    assert (history(counted), kept()) == (said, counts)

    # A later snapshot of the same day replaces its count, and no other day's.
    counted.shop.execute("update inventory set on_hand = on_hand + 5, updated_at = now() where product_id = 1")
    at(DAYS[2], hour=14)
    counted.report(DAYS[2])
    assert published(counted, DAYS[2]) == shelves(counted)
    assert [row for row in history(counted) if row[0] < DAYS[2]] == [row for row in said if row[0] < DAYS[2]]


def test_a_night_that_dies_while_it_counts_is_as_if_it_had_not(
    counted: Nights, at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(DAYS[0])
    counted.report(DAYS[0])
    trade(counted, 1)
    at(DAYS[1])

    def dies(*_: Any) -> None:
        raise ConnectionError("the warehouse went away")

    with monkeypatch.context() as patch:
        patch.setattr(copies, "record_counted", dies)
        with pytest.raises(ConnectionError):
            counted.report(DAYS[1])
    counts = kept()
    run = counted.report(DAYS[1])
    assert kept() == counts
    assert published(counted, DAYS[1]) == shelves(counted)
    # Cleared, and accepted once more.
    nightly.extract(run)
    counted.judge(run)
    counted.accept_and_build(run)
    assert kept() == counts


def test_a_shelf_that_is_gone_is_empty_and_one_in_quarantine_stays(counted: Nights, at: Any) -> None:
    at(DAYS[0])
    counted.report(DAYS[0])
    (gone, held) = [shelf for shelf, (on_hand, reserved) in sorted(shelves(counted).items()) if on_hand > reserved + 1][
        :2
    ]
    where = "where product_id = %s and warehouse_id = %s"
    before = published(counted, DAYS[0])
    counted.shop.execute(f"delete from inventory {where}".encode(), gone)
    counted.shop.execute("alter table inventory drop constraint inventory_reserved_check")
    counted.shop.execute(f"update inventory set reserved = on_hand + 1, updated_at = now() {where}".encode(), held)
    at(DAYS[1])
    counted.report(DAYS[1])
    assert published(counted, DAYS[1]) == before | {gone: (0, 0)}

    # The shop's folder takes backorders from now on: a replay accepts the shelf, and counts it on the day it was read.
    (settings().sources / "shop.toml").write_text(f"{SHOP_TOML}[stock]\nbackorders = true\n")
    counted.replay()
    on_hand, _ = before[held]
    assert published(counted, DAYS[1])[held] == (on_hand, on_hand + 1)
    assert published(counted, DAYS[0]) == before


def test_movements_that_a_shop_keeps_later_take_the_place_of_counts(counted: Nights, at: Any, tmp_path: Path) -> None:
    """The counts stay in the lake: without the file they are the history again, and go on from where they were."""
    at(DAYS[0])
    counted.report(DAYS[0])
    trade(counted, 1)
    at(DAYS[1])
    counted.report(DAYS[1])
    counts, said = kept(), history(counted)

    file = settings().sources / "inventory_movements.sql"
    shutil.copy(tmp_path / "inventory_movements.sql", file)
    at(DAYS[2])
    counted.report(DAYS[2])
    first = counted.shop.execute("select min(moved_at)::date from inventory_movements").fetchone()
    assert counted.ask("select min(day) from reporting.inventory_daily") == [first]
    assert published(counted, DAYS[2]) == shelves(counted)
    assert kept() == counts

    file.unlink()
    trade(counted, 2)
    at(DAYS[3])
    counted.report(DAYS[3])
    assert [row for row in history(counted) if row[0] <= DAYS[1]] == said
    assert published(counted, DAYS[3]) == shelves(counted)
    assert {day for day, *_ in kept()} == {(day - date(1970, 1, 1)).days for day in (DAYS[0], DAYS[1], DAYS[3])}


@pytest.mark.long
def test_housekeeping_spares_the_counts(counted: Nights, at: Any) -> None:
    for number, day in enumerate(DAYS[:3]):
        trade(counted, number)
        at(day)
        counted.report(day)
    counts, said = kept(), history(counted)
    tables = [one.table for one in TABLES.values()]
    assert housekeeping.compact(tables, dry_run=False, most_small=0)["kept.inventory_counts"] >= 1
    in_years = housekeeping.Limits.at(datetime.now(UTC) + timedelta(days=900))
    assert "kept.inventory_counts" in housekeeping.remove_files(in_years, tables, dry_run=False)
    assert kept() == counts
    counted.report(DAYS[2], full_refresh=True)
    assert history(counted) == said


def test_medusas_levels_are_counted(
    cluster: Cluster, warehouse_database: Database, at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are texts, and a level that Medusa deletes is an empty shelf. The shop sold on backorder: -2 are owed."""
    database = Database(cluster, "shop").copy()
    with database.connect("shopkeeper") as connection:
        fill(Medusa(connection))
    folder = Path(shutil.copytree(FOLDER, tmp_path / "sources"))
    (folder / "schema.toml").unlink()  # the tables here have no keys
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    with nights_between(monkeypatch, Done(database, warehouse_database, tmp_path / "lake")) as nights:
        nights = replace(nights, names=("inventory_daily",), approves=True)
        at(DAYS[0])
        nights.report(DAYS[0])
        nights.shop.execute("update inventory_level set stocked_quantity = 7 where stocked_quantity = 9")
        nights.shop.execute("update inventory_level set deleted_at = now() where stocked_quantity = 4")
        at(DAYS[1])
        nights.report(DAYS[1])
        assert nights.ask(
            "select day - %s, product_id, warehouse_id, unexplained_units, closing_units, available"
            " from reporting.inventory_daily order by 1, 2, 3",
            DAYS[0],
        ) == [
            (0, "mug", "hill", 4, 4, 4),
            (0, "mug", "port", 9, 9, 7),
            (0, "shirt", "port", 1, 1, -2),
            (1, "mug", "hill", -4, 0, 0),
            (1, "mug", "port", -2, 7, 5),
            (1, "shirt", "port", 0, 1, -2),
        ]
    database.drop()
