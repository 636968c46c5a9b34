"""What the bench compares is the same work: equal rows, and nothing told that was not measured."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from include.settings import ROOT, settings
from tests.bench import dbt_project, plain_sql, readers, rivals
from tests.bench.measuring import job
from tests.bench.place import _EDITS
from tests.bench.readers import Reading
from tests.bench.report import Found, Ratio
from tests.bench.stages import TABLES_OF_THE_SHOP, Line, Night, contents
from tests.conftest import Database
from tests.nights import LAST_DAY, Nights


@pytest.mark.parametrize("built_tables", [plain_sql.NAMES], ids=["what both build"])
@pytest.mark.long
def test_sql_in_postgres_makes_our_rows_also_after_a_day_of_trade(
    nights: Nights, old_shop: Database, warehouse_database: Database
) -> None:
    nights.shop.execute(_EDITS.read_bytes(), prepare=False)
    assert nights.shop.execute("select count(*) from orders where payment_id ~ 'again|new'").fetchone() == (5,)
    run = nights.run()
    assert nights.ask("select sum(quarantined), sum(recalled) from audit.source_counts where run_id = %s", run) == [
        (0, 0)
    ]
    assert nights.ask("select count(*) from reporting.inventory_daily where unexplained_units <> 0") == [(0,)]

    ours, theirs = warehouse_database.url("loader"), old_shop.url("shopkeeper")
    plain_sql.prepare(theirs)
    made = {name: plain_sql.make(theirs, name, LAST_DAY, settings().timezone) for name in plain_sql.NAMES}
    assert made == {name: nights.ask(f"select count(*) from reporting.{name}")[0][0] for name in plain_sql.NAMES}
    assert made["order_lines"] > 5_000
    assert plain_sql.different(ours, theirs) == []
    nights.shop.execute("update plain.orders set tax = tax + 0.01 where order_id = 7")
    nights.shop.execute("update plain.daily_sales set average_order_value = average_order_value * 1.0000000000000002")
    assert plain_sql.different(ours, theirs) == ["orders", "daily_sales"]


@pytest.mark.usefixtures("nights")
def test_other_ways_to_read_the_shop_read_every_row(old_shop: Database, tmp_path: Path) -> None:
    with old_shop.connect() as shop:
        rows = {name: shop.execute(f"select count(*) from {name}").fetchall()[0][0] for name in TABLES_OF_THE_SHOP}
    assert min(rows.values()) > 2
    assert rows["order_items"] > 5_000
    assert job("scan", os.environ, tables=TABLES_OF_THE_SHOP, into=str(tmp_path)).rows == sum(rows.values())
    assert job("read_sql", os.environ, tables=TABLES_OF_THE_SHOP).rows == sum(rows.values())
    assert {name: contents([str(tmp_path / f"{name}.parquet")])[0] for name in rows} == rows


def test_dbt_reads_what_was_copied_and_tests_what_the_shop_promises(small_past: Database, tmp_path: Path) -> None:
    folder = ROOT / "include" / "sources" / "demo_shop"
    tests = dbt_project.write(tmp_path, small_past.url("shopkeeper"), TABLES_OF_THE_SHOP, folder)
    models = {file.stem: file.read_text() for file in (tmp_path / "models").glob("*.sql")}
    assert models.keys() == {*plain_sql.NAMES}
    for statement in models.values():
        assert not re.search(
            rf"\b(from|join)\s+({'|'.join(TABLES_OF_THE_SHOP)})\b(?!\.)", statement
        )  # nor extract(… from orders.…)
        assert not re.search(r"plain\.|%\(", statement)
    schema = yaml.safe_load((tmp_path / "models" / "schema.yml").read_text())
    [copied] = schema["sources"]
    assert [one["name"] for one in copied["tables"]] == list(TABLES_OF_THE_SHOP)
    promised = [test for one in copied["tables"] for test in one["data_tests"]]
    assert sum("relationships" in test for test in promised) > 10
    assert {"holds": {"arguments": {"rule": "((quantity > 0))"}}} in promised
    assert tests == len(promised) + sum(len(one["data_tests"]) for one in schema["models"]) + 4


@pytest.mark.after_a_night
@pytest.mark.long
def test_features_are_built_into_files_from_what_their_run_was_built_from(nights: Nights, tmp_path: Path) -> None:
    run = nights.feature()
    built = job(
        "build_files", os.environ, run_id=run, table="customer_activity", engine="duckdb", into=str(tmp_path / "files")
    )
    assert [(built.rows,)] == nights.ask("select count(*) from features.customer_activity")
    assert built.rows > 100


def found(**changed: object) -> Found:
    """A bench of round numbers: every stage a second, other ways half a second."""

    def lines(*names: str) -> dict[str, Line]:
        return {name: Line(name, 0.5, 10, 2**20) for name in names}

    full = Night("full", [Line(work, 1.0, 10, 2**30) for work in ("extract", "build orders", "publish")])
    full.built = dict.fromkeys(plain_sql.NAMES, 10)
    incremental = Night("incremental", [Line("extract", 0.3, 1, 2**20)])
    features = Night("features", [Line("build customer_activity", 9.0, 10, 2**20)])
    given: dict[str, object] = {
        "builds": {name: lines("pandas") for name in (*plain_sql.NAMES, "customer_activity")},
        "extraction": lines(rivals.FLOOR_OUT, rivals.SCAN, rivals.READ_SQL, rivals.DLT),
        "loading": lines(rivals.FLOOR_IN, rivals.INSERT, rivals.INSERT_KEYED, rivals.TO_SQL),
        "sql": lines(*plain_sql.NAMES),
        "idle": Night("idle", [Line("extract", 0.15, 1, 2**20)]),
        "dlt_and_dbt": lines(rivals.DLT_LOAD, rivals.DBT).values(),
        "next_dlt_and_dbt": lines(rivals.DLT_LOAD, rivals.DBT).values(),
        "read": readers.Found([2.0, 9.0, 2.0], [2.1, 2.1, 9.0], Reading([0.1, 0.2], Counter({200: 2}), [2**20])),
        "bucket": Night("full", [Line("extract", 4.5, 10, 2**20)]),
        "next_bucket": Night("incremental", [Line("extract", 0.6, 1, 2**20)]),
        "connections": {number: Line(f"on {number}", 6.0 / number, 10, 2**20) for number in (1, 2, 4)},
    }
    nights = {"full": full, "features": features, "incremental": incremental, "next_features": features}
    return Found(engines=["pandas"], **{"about": {}, **nights, **given, **changed})  # type: ignore[arg-type]


def test_ratios_are_told_beside_what_the_design_asks() -> None:
    assert [(one.found and round(one.found, 6), one.target, one.met) for one in found().ratios[:10]] == [
        (3.0, "≤ 0.33", False),  # dlt and dbt: 2 × 0.5 s
        (0.3, "≤ 0.25", False),  # after a day of trade
        (2.0, "≤ 1.3", False),  # extract
        (2.0, "≤ 1.3", False),  # load
        (1.0, "≤ 1", True),  # SQL: 6 × 0.5 s
        (0.05, "≤ 0.06", True),  # nothing changed
        (0.1, "≤ 0.1", True),  # incremental
        (1024.0, "≤ 800", False),  # memory
        (1.333333, "≥ 5", False),  # read_sql + 6 × 0.5 s + to_sql
        (1.05, "≤ 1.1", True),  # medians, beside readers and alone
    ]


def test_the_features_after_a_night_are_told_of_apart() -> None:
    [told] = [one for one in found().ratios if "features" in one.name]
    assert told == Ratio("incremental night / full night, with the features after each", 9.3 / 12)


def test_nights_with_the_lake_in_a_bucket_are_told_beside_those_with_it_in_a_folder() -> None:
    assert [one.found for one in found().ratios if "bucket" in one.name] == [1.5, 2.0]


def test_several_connections_are_told_beside_one() -> None:
    assert [one.found for one in found().ratios if "connections" in one.name] == [0.5, 0.25]


def test_nothing_is_told_of_what_could_not_be_measured() -> None:
    wrong = {name: Line(name, None if name == "orders" else 0.5, 10, None) for name in plain_sql.NAMES}
    page = found(sql=wrong)
    assert page.ratios[4] == Ratio("full night / six of its tables as SQL in Postgres", None, "≤ 1", None)
    assert re.search(r"full night / six of its tables as SQL in Postgres +\| +– \| +\| ≤ 1 ", page.markdown())


def test_what_is_found_is_recorded_once_by_commit_and_scale(tmp_path: Path) -> None:
    history = tmp_path / "history.json"
    small, large = found(about={"scale": "0.1"}), found(about={"scale": "1"})
    for commit, one in (("abc", small), ("abc", large), ("def", small), ("abc", small)):
        one.record(history, commit)
    recorded = json.loads(history.read_text())
    assert [(one["commit"], one["about"]["scale"]) for one in recorded] == [
        ("abc", "1"),
        ("def", "0.1"),
        ("abc", "0.1"),
    ]
    assert recorded[0]["seconds"] == {"full": 3.0, "incremental": 0.3, "idle": 0.1}
    assert recorded[0]["ratios"]["full night / dlt and dbt"] == 3.0
