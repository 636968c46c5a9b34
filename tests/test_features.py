"""Features have a DAG of their own: after the reporting tables, as of their day, and never in the reports' way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from include import features, night
from include.contract import ContractError
from include.ledger import entries as ledger
from include.ledger.entries import Overtaken, Run
from include.ledger.summary import summary
from include.settings import settings
from tests.nights import LAST_DAY, Nights
from transforms.catalogue import TABLES

NIGHTS_OWN = (
    "select * from audit.watermarks order by 1",
    "select * from audit.quarantine order by 1",
    "select source, extracted, accepted from audit.source_counts where accepted is not null order by run_id, 1",
)


def changed(nights: Nights, run: str) -> dict[str, tuple[int, int]]:
    """Per table that a run published, rows inserted and deleted."""
    rows = nights.ask(
        "select table_name, inserted, deleted from audit.publication_tables join audit.publications"
        " using (publication_id) where run_id = %s",
        run,
    )
    return {name: (inserted, deleted) for name, inserted, deleted in rows}


def test_features_follow_the_reports_and_publish_only_themselves(nights: Nights) -> None:
    """Before them data_status says so; and a second run changes no row, nor what belongs to the night."""
    run = nights.report()
    status = dict(nights.ask("select published_table, verdict from reporting.data_status"))
    assert {status[table.qualified_name] for table in nights.reporting} == {"ok"}
    assert {status[table.qualified_name] for table in nights.features} == {"not published yet"}
    own = [nights.ask(statement) for statement in NIGHTS_OWN]

    features_run = nights.feature()
    assert set(changed(nights, features_run)) == {table.name for table in nights.features}
    status = dict(nights.ask("select published_table, (verdict, last_day)::text from reporting.data_status"))
    assert status == dict.fromkeys((table.qualified_name for table in nights.tables), f"(ok,{LAST_DAY})")
    assert nights.ask("select dag, night, horizon, built_from from audit.runs where run_id = %s", features_run) == [
        ("features", LAST_DAY, LAST_DAY, 1)
    ]
    assert [nights.ask(statement) for statement in NIGHTS_OWN] == own

    again = nights.feature(engine="duckdb")
    assert set(changed(nights, again).values()) == {(0, 0)}
    told = summary(run, features_run)
    for table in nights.tables:
        assert f"\n{table.qualified_name} " in told


def test_a_feature_that_fails_leaves_the_reports_published(nights: Nights) -> None:
    nights.run(LAST_DAY - timedelta(days=1))
    before = nights.published()
    nights.report(LAST_DAY)
    run = nights.begin_features()

    def broken(*_: Any, **__: Any) -> Any:
        raise ContractError("product_demand: the build lacks ['units']")

    table = TABLES["product_demand"]
    with pytest.raises(ContractError, match="lacks"):
        night.build(run, table.table, table.layers, broken)

    after = nights.published()
    assert {name for name in after if after[name] != before[name]} >= {"reporting.daily_sales", "reporting.orders"}
    assert {name: after[name] for name in after if name.startswith("features.")} == {
        name: before[name] for name in before if name.startswith("features.")
    }
    verdicts = nights.ask("select distinct verdict, last_day from reporting.data_status order by last_day")
    assert verdicts == [("ok", LAST_DAY - timedelta(days=1)), ("ok", LAST_DAY)]


def test_a_failure_half_way_leaves_the_old_features(nights: Nights) -> None:
    nights.run(LAST_DAY - timedelta(days=1))
    nights.report(LAST_DAY)
    before = nights.published()
    nights.warehouse.execute(
        """
        create function refuse() returns trigger language plpgsql as $$ begin raise 'no room'; end $$;
        create trigger refuse before insert on features.inventory_risk for each row execute function refuse()
        """
    )
    with pytest.raises(psycopg.errors.RaiseException, match="no room"):
        nights.feature()
    assert nights.published() == before
    nights.warehouse.execute("drop trigger refuse on features.inventory_risk")
    nights.feature()
    assert nights.published() != before


def test_an_earlier_day_is_made_as_of_that_day_and_leaves_later_ones_alone(nights: Nights) -> None:
    """Its features, made again from a later copy, are those that its own night had made."""
    earlier = LAST_DAY - timedelta(days=7)
    nights.run(earlier)
    own = nights.published()
    nights.run(LAST_DAY)
    later = nights.published()
    for table in nights.features:
        day = table.rebuild.slice_of(earlier)
        nights.warehouse.execute(f"delete from {table.qualified_name} where as_of >= %s".encode(), [day])

    run = nights.feature(earlier)

    features_only = {table.qualified_name for table in nights.features}
    assert {name: digest for name, digest in nights.published().items() if name in features_only} == {
        name: digest for name, digest in own.items() if name in features_only
    }
    assert changed(nights, run)["product_demand"][0] > 0
    nights.feature(LAST_DAY)
    assert nights.published() == later
    assert set(changed(nights, nights.feature(earlier)).values()) == {(0, 0)}
    assert nights.published() == later
    assert nights.ask("select distinct last_day from reporting.data_status") == [(LAST_DAY,)]


def test_labels_are_judged_by_their_own_rules(nights: Nights) -> None:
    nights.report()
    run = nights.feature()
    judged = dict(
        nights.ask("select table_name, min(evaluated) from audit.expectation_results where run_id = %s group by 1", run)
    )
    [(labels,)] = nights.ask("select count(*) from features.demand_labels")
    assert judged["features.demand_labels"] == labels > 0


def test_which_day_and_which_copy(nights: Nights) -> None:
    with pytest.raises(night.WrongRequest, match="nothing is published yet: run nightly first"):
        nights.begin_features()
    first = nights.report(LAST_DAY - timedelta(days=1))
    later = LAST_DAY.isoformat()
    with pytest.raises(night.WrongRequest, match=f"{later} is not published yet, only the days up to 2026-03-30"):
        nights.begin_features(LAST_DAY)
    assert ledger.find_run(nights.begin_features(None)).night == LAST_DAY - timedelta(days=1)
    for key, conf, message in (
        ("2026-03-29", {"date": "2026-03-28"}, "give one of them"),
        ("yesterday", {}, "there is no day 'yesterday'; one is written 2026-11-21"),
        (None, {"full_refresh": True}, "unknown parameter full_refresh; there are date, engine"),
    ):
        with pytest.raises(night.WrongRequest, match=message):
            features.begin("refused", key, conf)
    with pytest.raises(ValueError, match=f"another DAG has a run called '{first}'"):
        features.begin(first, None, {})

    # A night that is run again from the start has no copy until it publishes: features keep to the published one.
    versions = ledger.clean_versions(nights.begin_features(None))
    ledger.open_run(Run(first, LAST_DAY, LAST_DAY))
    night.extract(first)
    assert ledger.clean_versions(nights.begin_features(None)) == versions
    assert all(version is not None for version in versions.values())


def test_features_from_an_older_copy_of_the_shop_never_replace_newer_ones(nights: Nights) -> None:
    nights.report()
    early = nights.begin_features()
    nights.build(early, nights.features)
    nights.report()
    nights.feature()
    with pytest.raises(Overtaken, match="is ahead and is done with features already"):
        features.publish(early, nights.features)


def test_a_features_run_has_its_report(nights: Nights) -> None:
    nights.report()
    run = nights.feature()
    written = night.report(run)
    assert written is not None
    page = next(settings().reports.rglob(f"{run}/index.html")).read_text()
    assert f"Published: the feature sets as of {LAST_DAY}" in page
    assert "features.customer_activity" in page
    assert "reporting.orders" not in page
    assert "Sources" not in page


def test_a_ledger_from_before_features_had_a_dag_goes_on(nights: Nights) -> None:
    run = nights.begin()
    nights.warehouse.execute("alter table audit.runs drop column dag, drop column built_from")
    ledger.prepare()
    assert (ledger.find_run(run).dag, ledger.find_run(run).built_from) == ("nightly", None)
    with pytest.raises(night.WrongRequest, match="nothing is published yet"):
        nights.begin_features()
