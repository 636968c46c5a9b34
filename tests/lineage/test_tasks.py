"""The datasets of every task of a night: valid by OpenLineage's schemas, with what the ledger says, and no secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest

from include.settings import settings
from include.sources import shop_sources
from tests.conftest import Done, nights_between
from tests.lineage.events import event_of, names, one, origins
from tests.lineage.schemas import faults
from tests.nights import FEW, Nights


@pytest.fixture(scope="module")
def done(night_done: Callable[[tuple[str, ...]], Done]) -> Iterator[Nights]:
    """A night that is over; nobody writes to it."""
    with pytest.MonkeyPatch.context() as environment, nights_between(environment, night_done(FEW)) as nights:
        yield replace(nights, names=FEW)


@pytest.fixture
def night(done: Nights) -> str:
    """Its run."""
    return str(done.ask("select run_id from audit.runs where kind = 'night'")[0][0])


def test_extract_reads_the_shops_tables_column_by_column(done: Nights, night: str) -> None:
    event = event_of(night, "extract")
    url = psycopg.conninfo.conninfo_to_dict(settings().shop_url.get_secret_value())
    assert {one["namespace"] for one in event["inputs"]} == {f"postgres://{url['host']}:{url['port']}"}
    assert f"{url['dbname']}.public.order_items" in names(event, "inputs")
    assert names(event, "outputs") == [f"raw/{name}" for name in shop_sources(settings().sources)]
    lines = one(event, "outputs", "raw/order_items")
    assert (lines["namespace"], lines["name"]) == ("file", f"{settings().lake}/raw/order_items")
    assert origins(lines)["unit_price_cents"] == ["order_items.price_includes_tax", "order_items.unit_price"]
    fields = {one["name"]: one["type"] for one in lines["facets"]["schema"]["fields"]}
    assert fields["unit_price_cents"] == "bigint"
    # Of a column that this shop's file does not select nothing is said.
    assert set(fields) - set(origins(lines)) == {"product_name", "subtotal_cents", "tax_cents"}
    [(rows,)] = done.ask(
        "select extracted from audit.source_counts where run_id = %s and source = 'order_items'", night
    )
    assert lines["outputFacets"]["outputStatistics"]["rowCount"] == rows > 1000


def test_validate_tells_every_rule_and_what_came_of_it(done: Nights, night: str) -> None:
    event = event_of(night, "validates.orders")
    [orders] = event["inputs"]
    told = {rule["assertion"]: rule for rule in orders["inputFacets"]["dataQualityAssertions"]["assertions"]}
    known = done.ask(
        "select rule, broken from audit.expectation_results where run_id = %s and table_name = 'source.orders'", night
    )
    assert {rule: told[rule]["success"] for rule, _ in known} == {rule: not broken for rule, broken in known}
    assert told["status_known"]["column"] == "status"
    assert orders["inputFacets"]["dataQualityMetrics"]["rowCount"] > 1000
    assert event["outputs"] == []


def test_accept_derives_columns_of_the_row(done: Nights, night: str) -> None:
    event = event_of(night, "accept")
    orders = one(event, "outputs", "clean/orders")
    assert origins(orders)["total_cents"] == ["orders.total_cents"]
    assert origins(orders)["ordered_on"] == ["orders.ordered_at"]
    [(accepted, version)] = done.ask(
        "select accepted, clean_version from audit.source_counts where run_id = %s and source = 'orders'", night
    )
    assert orders["outputFacets"]["outputStatistics"]["rowCount"] == accepted
    assert orders["facets"]["version"]["datasetVersion"] == str(version)
    assert "quarantine/orders" in names(event, "outputs")


def test_a_build_reads_the_versions_that_it_was_built_from(done: Nights, night: str) -> None:
    event = event_of(night, "builds.orders")
    [(rows, inputs)] = done.ask(
        "select rows, inputs from audit.builds where run_id = %s and table_name = 'orders'", night
    )
    assert "clean/orders" in names(event, "inputs")
    assert "reporting/order_lines" in names(event, "inputs")
    versions = {dataset["name"].rpartition("/")[2]: dataset["facets"]["version"] for dataset in event["inputs"]}
    assert versions["order_refunds"]["datasetVersion"] == str(inputs["clean.order_refunds"])
    [orders] = event["outputs"]
    assert orders["name"].endswith("reporting/orders")
    assert orders["outputFacets"]["outputStatistics"]["rowCount"] == rows
    assert origins(orders)["order_id"] == ["orders.order_id"]


def test_audit_tells_what_was_checked_and_publish_what_was_published(done: Nights, night: str) -> None:
    built = [f"reporting/{name}" for name in sorted(FEW) if name != "customer_activity"]
    audit = event_of(night, "audit")
    assert names(audit, "inputs") == built
    assert all(one["inputFacets"]["dataQualityAssertions"]["assertions"] for one in audit["inputs"])
    publish = event_of(night, "publish")
    assert names(publish, "inputs") == built
    url = psycopg.conninfo.conninfo_to_dict(settings().warehouse_url.get_secret_value())
    sales = one(publish, "outputs", "reporting.daily_sales")
    assert sales["namespace"] == f"postgres://{url['host']}:{url['port']}"
    assert sales["name"] == f"{url['dbname']}.reporting.daily_sales"
    assert origins(sales)["net_sales"] == ["daily_sales.net_sales_cents"]
    assert {one["name"]: one["type"] for one in sales["facets"]["schema"]["fields"]}["net_sales"] == "numeric(18, 3)"
    [(rows,)] = done.ask("select count(*) from reporting.daily_sales")
    assert sales["outputFacets"]["outputStatistics"]["rowCount"] == rows > 50


def test_features_are_told_by_the_same_steps(done: Nights) -> None:
    [(run_id,)] = done.ask("select run_id from audit.runs where dag = 'features'")
    build = event_of(str(run_id), "builds.customer_activity")
    assert names(build, "outputs") == ["features/customer_activity"]
    assert len(build["inputs"]) > 1
    publish = event_of(str(run_id), "publish")
    assert [name.partition(".")[2] for name in names(publish, "outputs")] == ["features.customer_activity"]


def test_what_only_decides_has_no_datasets_and_what_failed_wrote_none(night: str) -> None:
    for task in ("begin", "check_tolerance", "approve", "report"):
        event = event_of(night, task)
        assert (event["inputs"], event["outputs"]) == ([], [])
    failed = event_of(night, "publish", failed=True)
    assert failed["inputs"]
    assert failed["outputs"] == []
    with pytest.raises(KeyError, match="no run"):
        event_of("another", "publish")


def test_no_event_has_a_secret_or_a_row(done: Nights, night: str) -> None:
    tasks = ["extract", "accept", "audit", "publish", "validates.customers", "builds.orders"]
    told = "".join(json.dumps(event_of(night, task)) for task in tasks)
    for url in (settings().shop_url, settings().warehouse_url):
        parts = psycopg.conninfo.conninfo_to_dict(url.get_secret_value())
        assert str(parts["password"]) not in told
        assert f"{parts['user']}:" not in told
    emails = done.shop.execute("select email from customers where email is not null limit 50").fetchall()
    assert emails
    assert not any(email in told for (email,) in emails)


def test_a_server_that_is_a_socket_of_this_machine_has_a_name_too(
    done: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.lineage.datasets import in_warehouse

    for url, named in (
        ("postgresql://a:s3cret@one:1,two:2/db", "postgres://one:1 db.reporting.orders"),
        ("postgresql:///db?host=/tmp/server", "postgres://localhost:5432 db.reporting.orders"),
        ("host=h user=u password='a/b@c' port=5433", "postgres://h:5433 u.reporting.orders"),
    ):
        monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", url)
        settings.cache_clear()
        found = in_warehouse("reporting", "orders")
        assert f"{found.get_namespace()} {found.get_name()}" == named
    monkeypatch.undo()
    settings.cache_clear()
    assert done.names


def test_a_wrong_event_is_found_wrong(night: str) -> None:
    event = event_of(night, "publish")
    del event["run"]["runId"]
    event["outputs"][0]["facets"]["schema"]["fields"] = "none"
    event["outputs"][1]["facets"]["schema"]["_schemaURL"] = "https://openlineage.io/spec/facets/9-9-9/X.json"
    said = " ".join(faults(event))
    for fault in ("'runId' is a required property", "'none' is not of type 'array'", "there is no schema"):
        assert fault in said


def test_what_lies_in_a_bucket_is_named_by_it() -> None:
    from include.lineage.datasets import in_folder

    one = in_folder("s3://bucket/shop/lake/raw/orders")
    assert (one.get_namespace(), one.get_name()) == ("s3://bucket", "shop/lake/raw/orders")
