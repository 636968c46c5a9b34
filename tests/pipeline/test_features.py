"""Features have a DAG of their own: after the reporting tables, as of their day, and never in the reports' way."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.contract import ContractError
from include.ledger import copies, runs
from include.ledger.migrations import prepare
from include.ledger.runs import Overtaken, Run
from include.ledger.summary import summary
from include.pipeline import nightly, table_build, tables_dag
from include.pipeline.run_request import WrongRequest
from include.settings import settings
from tests.nights import LAST_DAY, Nights
from transforms.registry import TABLES

NIGHTS_OWN = (
    "select * from audit.watermarks order by 1",
    "select * from audit.quarantine order by 1",
    "select source, extracted, accepted from audit.source_counts where accepted is not null order by run_id, 1",
)


NEXT_DAY = LAST_DAY + timedelta(days=1)


def done(nights: Nights, dag: str) -> str:
    """The run of a DAG that is behind us."""
    [(run,)] = nights.ask("select run_id from audit.runs where dag = %s", dag)
    return str(run)


def changed(nights: Nights, run: str) -> dict[str, tuple[int, int]]:
    """Per table that a run published, rows inserted and deleted."""
    rows = nights.ask(
        "select table_name, inserted, deleted from audit.publication_tables join audit.publications"
        " using (publication_id) where run_id = %s",
        run,
    )
    return {name: (inserted, deleted) for name, inserted, deleted in rows}


@pytest.mark.long
def test_features_follow_the_reports_and_publish_only_themselves(every_table: Nights) -> None:
    """Before them data_status says so; and a second run changes no row, nor what belongs to the night."""
    run = every_table.report()
    status = dict(every_table.ask("select published_table, verdict from reporting.data_status"))
    assert {status[table.qualified_name] for table in every_table.reporting} == {"ok"}
    assert {status[table.qualified_name] for table in every_table.features} == {"not published yet"}
    own = [every_table.ask(statement) for statement in NIGHTS_OWN]

    features_run = every_table.feature()
    assert set(changed(every_table, features_run)) == {table.name for table in every_table.features}
    status = dict(every_table.ask("select published_table, (verdict, last_day)::text from reporting.data_status"))
    assert status == dict.fromkeys((table.qualified_name for table in every_table.tables), f"(ok,{LAST_DAY})")
    assert every_table.ask(
        "select dag, night, horizon, built_from from audit.runs where run_id = %s", features_run
    ) == [("features", LAST_DAY, LAST_DAY, 1)]
    assert [every_table.ask(statement) for statement in NIGHTS_OWN] == own

    again = every_table.feature(engine="duckdb")
    assert set(changed(every_table, again).values()) == {(0, 0)}
    told = summary(run, features_run, "my-shop")
    assert "  make psql SHOP=my-shop  then  select" in told
    for table in every_table.tables:
        assert f"\n{table.qualified_name} " in told


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_feature_that_fails_leaves_the_reports_published(every_table: Nights) -> None:
    before = every_table.published()
    every_table.report(NEXT_DAY)
    run = every_table.begin_features(NEXT_DAY)

    def broken(*_: Any, **__: Any) -> Any:
        raise ContractError("product_demand: the build lacks ['units']")

    table = TABLES["product_demand"]
    with pytest.raises(ContractError, match="lacks"):
        table_build.build(run, table.table, table.layers, table.sources, broken, table.code)

    after = every_table.published()
    assert {name for name in after if after[name] != before[name]} >= {"reporting.daily_sales", "reporting.customers"}
    assert {name: after[name] for name in after if name.startswith("features.")} == {
        name: before[name] for name in before if name.startswith("features.")
    }
    verdicts = every_table.ask("select distinct verdict, last_day from reporting.data_status order by last_day")
    assert verdicts == [(f"no slice of {NEXT_DAY}", LAST_DAY), ("ok", NEXT_DAY)]


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_failure_half_way_leaves_the_old_features(every_table: Nights) -> None:
    every_table.report(NEXT_DAY)
    before = every_table.published()
    every_table.warehouse.execute(
        """
        create function refuse() returns trigger language plpgsql as $$ begin raise 'no room'; end $$;
        create trigger refuse before insert on features.inventory_risk for each row execute function refuse()
        """
    )
    with pytest.raises(psycopg.errors.RaiseException, match="no room"):
        every_table.feature(NEXT_DAY)
    assert every_table.published() == before
    # What was staged is not left on a disk that may be full.
    assert every_table.ask("select tablename from pg_tables where schemaname = 'staging'") == []
    every_table.warehouse.execute("drop trigger refuse on features.inventory_risk")
    every_table.feature(NEXT_DAY)
    assert every_table.published() != before


@pytest.mark.long
def test_an_earlier_day_is_made_as_of_that_day_and_leaves_later_ones_alone(every_table: Nights) -> None:
    """Its features, made again from a later copy, are those that its own night had made."""
    earlier = LAST_DAY - timedelta(days=7)
    every_table.run(earlier)
    own = every_table.published()
    every_table.run(LAST_DAY)
    later = every_table.published()
    for table in every_table.features:
        day = table.rebuild.slice_of(earlier)
        every_table.warehouse.execute(f"delete from {table.qualified_name} where as_of >= %s".encode(), [day])

    run = every_table.feature(earlier)

    features_only = {table.qualified_name for table in every_table.features}
    assert {name: digest for name, digest in every_table.published().items() if name in features_only} == {
        name: digest for name, digest in own.items() if name in features_only
    }
    assert changed(every_table, run)["product_demand"][0] > 0
    every_table.feature(LAST_DAY)
    assert every_table.published() == later
    assert set(changed(every_table, every_table.feature(earlier)).values()) == {(0, 0)}
    assert every_table.published() == later
    assert every_table.ask("select distinct last_day from reporting.data_status") == [(LAST_DAY,)]


@pytest.mark.after_a_night
def test_labels_are_judged_by_their_own_rules(every_table: Nights) -> None:
    judged = dict(
        every_table.ask(
            "select table_name, min(evaluated) from audit.expectation_results where run_id = %s group by 1",
            done(every_table, "features"),
        )
    )
    [(labels,)] = every_table.ask("select count(*) from features.demand_labels")
    assert judged["features.demand_labels"] == labels > 0


@pytest.mark.after_a_night
def test_which_day_and_which_copy(every_table: Nights) -> None:
    first = done(every_table, "nightly")
    with pytest.raises(WrongRequest, match="2026-04-01 is not published yet, only the days up to 2026-03-31"):
        every_table.begin_features(NEXT_DAY)
    assert runs.find_run(every_table.begin_features(None)).night == LAST_DAY
    for key, conf, message in (
        ("2026-03-29", {"date": "2026-03-28"}, "give one of them"),
        ("yesterday", {}, "there is no day 'yesterday'; one is written 2026-11-21"),
        (None, {"full_refresh": True}, "unknown parameter full_refresh; there are date, engine"),
    ):
        with pytest.raises(WrongRequest, match=message):
            tables_dag.begin("refused", key, conf, dag="features", tables=[])
    with pytest.raises(ValueError, match=f"another DAG has a run called '{first}'"):
        tables_dag.begin(first, None, {}, dag="features", tables=[])

    # A night that is run again from the start has no copy until it publishes: features keep to the published one.
    versions = copies.clean_versions(every_table.begin_features(None))
    runs.open_run(Run(first, NEXT_DAY, NEXT_DAY))
    nightly.extract(first)
    assert copies.clean_versions(every_table.begin_features(None)) == versions
    assert all(version is not None for version in versions.values())


@pytest.mark.after_a_night
@pytest.mark.long
def test_features_from_an_older_copy_of_the_shop_never_replace_newer_ones(every_table: Nights) -> None:
    early = every_table.begin_features()
    every_table.build(early, every_table.features)
    every_table.report()
    every_table.feature()
    with pytest.raises(Overtaken, match="is ahead and has already done tables"):
        tables_dag.publish(early, every_table.features)


@pytest.mark.after_a_night
def test_a_features_run_has_its_report(every_table: Nights) -> None:
    run = done(every_table, "features")
    written = nightly.report(run)
    assert written is not None
    page = next(Path(settings().reports).rglob(f"{run}/index.html")).read_text()
    assert f"Published: the feature sets as of {LAST_DAY}" in page
    assert "features.customer_activity" in page
    assert "reporting.orders" not in page
    assert "Sources" not in page


def test_a_ledger_from_before_features_had_a_dag_goes_on(every_table: Nights) -> None:
    run = every_table.begin()
    every_table.warehouse.execute(
        "drop table audit.migrations, audit.definitions, audit.locks, audit.incidents, audit.looks, audit.measures,"
        " audit.anomalies, audit.explanations, audit.exports"
    )
    every_table.warehouse.execute(
        "alter table audit.runs drop column dag cascade, drop column kind cascade, drop column built_from,"
        " drop column first_day, drop column said_at, drop column replica_lag_seconds;"
        "alter table audit.tables drop column sliced cascade;"
        "alter table audit.source_counts drop column definition, drop column rechecked, drop column anew"
    )
    prepare()
    assert every_table.ask("select count(*) from reporting.data_status") != [(0,)]
    assert (runs.find_run(run).dag, runs.find_run(run).built_from) == ("nightly", None)
    with pytest.raises(WrongRequest, match="nothing is published yet: run nightly first"):
        every_table.begin_features()


@pytest.mark.after_a_night
@pytest.mark.long
def test_what_happens_in_the_shop_afterwards_changes_no_feature_of_an_earlier_day(every_table: Nights) -> None:
    """Not even that an order of an earlier day is deleted: what was known of it then was known."""
    statement = "select md5(string_agg(row::text, '|' order by row::text)) from features.{} as row where as_of <= %s"
    names = [table.name for table in every_table.features if not table.rebuild.lag_days]
    before = {name: every_table.ask(statement.format(name), LAST_DAY) for name in names}
    shop = every_table.shop
    every_table.set_aside(("inventory_movements", "inventory_movements_order_item_id_fkey"))
    for child in (
        "refunds using order_items where refunds.order_item_id = order_items.order_item_id and",
        "shipment_items using order_items where shipment_items.order_item_id = order_items.order_item_id and",
        "order_items where",
        "order_refunds where",
        "payments where",
    ):
        shop.execute(f"delete from {child} order_id < 20".encode())
    shop.execute("delete from orders where order_id < 20")
    shop.execute("update products set unit_price = unit_price * 2, unit_cost = unit_cost + 1, updated_at = now()")
    shop.execute(
        "update orders set status = 'cancelled', cancelled_at = now(), cancelled_by = 'shop', updated_at = now(),"
        " cancellation_reason = 'test' where status = 'pending'"
    )
    every_table.run(NEXT_DAY)
    assert every_table.ask("select max(as_of) from features.customer_activity") == [(NEXT_DAY,)]
    assert len(names) == 3
    assert {name: every_table.ask(statement.format(name), LAST_DAY) for name in names} == before
