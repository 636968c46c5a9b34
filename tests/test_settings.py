"""The settings: what a deployment may say, what it must, and what it is told when it is wrong."""

from __future__ import annotations

import os
import traceback
from datetime import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from include.settings import ROOT, Parameters, Settings, settings

REQUIRED = {
    "STOCKTAKE_SHOP_URL": "postgresql://reader:s3cret-shop@shop.invalid/shop",
    "STOCKTAKE_WAREHOUSE_URL": "postgresql://loader:s3cret-warehouse@warehouse.invalid/warehouse",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that says the least."""
    for name in list(os.environ):
        if name.startswith("STOCKTAKE_"):
            monkeypatch.delenv(name)
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_two_urls_are_enough() -> None:
    found = Settings()
    assert found.sources == ROOT / "include" / "sources" / "demo_shop"
    assert (found.timezone, found.overlap_minutes, found.data_docs) == ("UTC", 60, False)
    assert Path(found.lake).is_relative_to(ROOT / ".stocktake")


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_url_is_named(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)
    with pytest.raises(ValidationError, match=name.removeprefix("STOCKTAKE_").lower()):
        Settings()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("timezone", "Mars/Olympus", "Mars/Olympus"),
        ("overlap_minutes", "-1", "greater than or equal to 0"),
        ("overlap_minutes", "an hour", "valid integer"),
        ("shop_connections", "0", "greater than or equal to 1"),
        ("batch_rows", "0", "greater than or equal to 1"),
        ("export_days", "0", "greater than or equal to 1"),
        ("data_docs", "perhaps", "valid boolean"),
        ("sources", "include/sources/corner_shop", "holds no .sql file"),
        ("alerts", "mailtos://ada:s3cret@example.com", "is no JSON"),
        ("alerts", '["mailtos://ada:s3cret@example.com", "ada:s3cret@example.com"]', "number 2 is no URL of Apprise"),
        ("day_closed", "at midnight", "is none of outbox, outbox://schema.table, kafka://topic"),
        ("day_closed", "outbox://Tills; drop table orders", "is none of outbox"),
        ("day_closed", "outbox://shop.public.closed", "is none of outbox"),
        ("day_closed", "redis+pubsub://:s3cret@cache.invalid:6379/days", "AIRFLOW_CONN_STOCKTAKE_DAY_CLOSED"),
        ("day_closed", "kafka://broker.invalid:9092/days", "belong into AIRFLOW_CONN_STOCKTAKE_DAY_CLOSED"),
        ("day_closed", "mqtt://days", "is none of outbox"),
        ("spark_remote", "spark://host:7077/;token=s3cret", "is no sc://host:15002"),
        ("spark_remote", "sc://host:port/;token=s3cret", "is no sc://host:15002"),
        ("spark_remote", "sc://host/;token=s3cret=", "is no sc://host:15002"),
        ("engine_fallback", "postgres", "'pandas', 'duckdb', 'dask' or 'spark'"),
        ("server_idle_seconds", "-1", "greater than or equal to 0"),
        ("lake", "s3://key:s3cret@bucket/lake", "is no folder and no s3://bucket/prefix"),
        ("lake", "abfss://lake@account.dfs.core.windows.net/x?sig=s3cret", "is no folder and no s3://bucket/prefix"),
        ("lake", "s3:/bucket/lake", "is no folder and no s3://bucket/prefix"),
        ("lake", "https://bucket.s3.amazonaws.com/lake", "is no folder and no s3://bucket/prefix"),
        ("lake_options", '{"aws_endpoint_url": "http://minio:9000"}', "has a setting of its own: lake_endpoint"),
        ("lake_options", '{"secret_access_key": "s3cret"}', "begins with none of aws_, google_, azure_"),
        ("lake_key_id", "stocktake", "give both, or none"),
        ("published_by", "half past six", "invalid"),
        ("published_by", "04:00", "04:00:00 is no time of day, without a zone, after 04:00"),
        ("published_by", "06:30+01:00", "is no time of day, without a zone"),
    ],
)
def test_a_wrong_value_is_refused_and_the_setting_named(
    environment: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    environment.setenv(f"STOCKTAKE_{name.upper()}", value)
    with pytest.raises(ValidationError, match=name) as refused:
        Settings()
    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("lake", "reports"),
    [("s3://bucket/shop", "s3://bucket/shop/reports"), ("/data/lake", "/data/reports")],
)
def test_report_pages_lie_beside_the_lake(environment: pytest.MonkeyPatch, lake: str, reports: str) -> None:
    environment.setenv("STOCKTAKE_LAKE", lake)
    environment.setenv("STOCKTAKE_REPORTS", "")
    assert (Settings().lake, Settings().reports) == (lake, reports)
    environment.setenv("STOCKTAKE_REPORTS", "/data/pages")
    assert Settings().reports == "/data/pages"


@pytest.mark.parametrize(
    "name", sorted({*Settings.model_fields, *Parameters.model_fields} - {"shop_url", "warehouse_url"})
)
def test_what_is_empty_is_not_given(environment: pytest.MonkeyPatch, name: str) -> None:
    """A line of .env without a value."""
    kind = Settings if name in Settings.model_fields else Parameters
    unset = getattr(kind(), name)
    environment.setenv(f"STOCKTAKE_{name.upper()}", "")
    assert getattr(kind(), name) == unset


def test_a_folder_of_sources_is_relative_to_the_project_or_absolute(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("STOCKTAKE_SOURCES", "include/sources/complete_journey")
    assert Settings().sources == ROOT / "include" / "sources" / "complete_journey"
    (tmp_path / "orders.sql").touch()
    environment.setenv("STOCKTAKE_SOURCES", str(tmp_path))
    assert Settings().sources == tmp_path


def test_a_password_shows_nowhere() -> None:
    found = Settings()
    assert "s3cret" not in f"{found!r} {found} {found.model_dump()} {found.model_dump_json()}"
    assert found.shop_url.get_secret_value() == REQUIRED["STOCKTAKE_SHOP_URL"]


def test_a_channel_shows_nowhere(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STOCKTAKE_ALERTS", '["slack://s3cret/s3cret", "mailtos://ada:s3cret@example.com"]')
    environment.setenv("STOCKTAKE_PUBLISHED_BY", "06:30")
    found = Settings()
    assert "s3cret" not in f"{found!r} {found} {found.model_dump()} {found.model_dump_json()}"
    assert [url.get_secret_value()[:5] for url in found.alerts] == ["slack", "mailt"]
    assert found.published_by == time(6, 30)


def test_they_are_frozen_and_read_once(environment: pytest.MonkeyPatch) -> None:
    settings.cache_clear()
    first = settings()
    environment.setenv("STOCKTAKE_TIMEZONE", "Europe/Berlin")
    assert settings() is first
    with pytest.raises(ValidationError, match="frozen"):
        first.timezone = "Europe/Berlin"  # type: ignore[misc]
    settings.cache_clear()


def test_every_setting_says_what_it_is() -> None:
    assert Settings.model_fields
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://loader:ab%zz@host/db",
        "postgresl://loader:s3cretpw@host/db",
        "loader:s3cretpw@host",
        "postgresql://loader:s3c/s3cret@host/db",  # libpq: port s3c of the host loader, database s3cret@host/db
        "postgresql://loader:1234/s3cret@host/db",
        "postgresql://loader:s3c@s3cret@host/db",
    ],
)
def test_a_malformed_url_is_named_and_its_password_is_not(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("STOCKTAKE_WAREHOUSE_URL", url)
    with pytest.raises(ValidationError, match="warehouse_url") as refused:
        Settings()
    said = "".join(traceback.format_exception(refused.value))
    assert "is no URL of a Postgres database; in a password, % @ : / are written %25 %40 %3A %2F" in said
    assert "s3cret" not in said
    assert "ab%zz" not in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///db?host=/tmp/server",
        "postgresql://a:b@one:1,two:2/db",
        "host=h user=u password='a/b@c' port=5433",
    ],
)
def test_what_libpq_connects_to_is_a_url(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("STOCKTAKE_WAREHOUSE_URL", url)
    assert Settings().warehouse_url.get_secret_value() == url


def test_a_shop_has_its_own_lead_time(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STOCKTAKE_LEAD_TIME_DAYS", "14")
    environment.setenv("STOCKTAKE_OUT_OF_STOCK_REASONS", '["sold out", "lost"]')
    assert (Parameters().lead_time_days, Parameters().lead_time_days_std) == (14, 2)
    assert Parameters().out_of_stock_reasons == ("sold out", "lost")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("STOCKTAKE_ABC_A_PERCENT", "96", r"abc_a_percent \(96\) is more than abc_b_percent \(95\)"),
        ("STOCKTAKE_LAPSED_DAYS", "7", r"active_days \(90\) is more than lapsed_days \(7\)"),
        ("STOCKTAKE_LEAD_TIME_DAYS", "-1", "lead_time_days"),
        ("STOCKTAKE_SERVICE_LEVEL_Z", "95 %", "service_level_z"),
    ],
)
def test_parameters_that_make_no_sense_are_named(
    environment: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(ValidationError, match=said):
        Parameters()


def test_tables_may_have_engines_of_their_own(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STOCKTAKE_ENGINES", '{"orders": "duckdb"}')
    assert Settings().engines == {"orders": "duckdb"}
    environment.setenv("STOCKTAKE_ENGINES", "duckdb")
    with pytest.raises(ValidationError, match=r"engines\n.*is no JSON"):
        Settings()
