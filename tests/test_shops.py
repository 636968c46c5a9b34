"""Several shops: whose settings count, and what is refused before a night could mix them up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import ValidationError

from include.ledger.redaction import redacted
from include.settings import ROOT, all_settings, settings
from include.settings.shops import (
    UnknownShop,
    WrongShops,
    current_shop,
    dag_id_of,
    dag_of,
    enter_shop,
    of_shop,
    shop_names,
    shop_of,
)  # fmt: skip

SHOPS = {
    "SHOPS": '["berlin", "new_york"]',
    "TIMEZONE": "Europe/Berlin",
    "LAKE": "/data/lake",
    "BERLIN__SHOP_URL": "postgresql://reader:s3cret-berlin@shop.invalid/berlin",
    "BERLIN__WAREHOUSE_URL": "postgresql://loader@warehouse.invalid/berlin",
    "NEW_YORK__SHOP_URL": "postgresql://reader:s3cret-york@shop.invalid/new_york",
    "NEW_YORK__WAREHOUSE_URL": "postgresql://loader@warehouse.invalid/new_york",
    "NEW_YORK__TIMEZONE": "America/New_York",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment of two shops."""
    for name in [name for name in os.environ if name.startswith("STOCKTAKE_")]:
        monkeypatch.delenv(name)
    for name, value in SHOPS.items():
        monkeypatch.setenv(f"STOCKTAKE_{name}", value)
    _forget()
    yield monkeypatch
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    shop_names.cache_clear()
    settings.cache_clear()


def test_a_shop_has_what_it_says_for_itself_and_otherwise_what_is_said_for_all() -> None:
    found = all_settings()
    assert {shop: one.timezone for shop, one in found.items()} == {
        "berlin": "Europe/Berlin",
        "new_york": "America/New_York",
    }
    assert {one.shop_url.get_secret_value().rpartition("/")[2] for one in found.values()} == set(found)


def test_each_has_a_part_of_the_lake_and_of_the_pages_that_are_named_for_all(environment: pytest.MonkeyPatch) -> None:
    assert {(one.lake, one.reports) for one in all_settings().values()} == {
        ("/data/lake/berlin", "/data/reports/berlin"),
        ("/data/lake/new_york", "/data/reports/new_york"),
    }
    environment.setenv("STOCKTAKE_LAKE", "s3://bucket/shops/")
    environment.setenv("STOCKTAKE_NEW_YORK__LAKE", "s3://elsewhere/lake")
    settings.cache_clear()
    assert {(one.lake, one.reports) for one in all_settings().values()} == {
        ("s3://bucket/shops/berlin", "s3://bucket/shops/berlin/reports"),
        ("s3://elsewhere/lake", "s3://elsewhere/lake/reports"),
    }


@pytest.mark.parametrize("name", ["SHOP_URL", "WAREHOUSE_URL"])
def test_whose_data_it_is_is_never_said_for_all(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(f"STOCKTAKE_{name}", "postgresql://reader@shop.invalid/of_all")
    environment.delenv(f"STOCKTAKE_BERLIN__{name}")
    with of_shop("berlin"), pytest.raises(ValidationError, match=name.lower()):
        settings()


def test_the_analyst_of_all_is_no_shops_analyst(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STOCKTAKE_ANALYST_URL", "postgresql://analyst@warehouse.invalid/berlin")
    assert {one.analyst_url for one in all_settings().values()} == {None}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("NEW_YORK__SHPO_URL", "x", "a shop has no shpo_url of its own"),
        ("NEW_YROK__TIMEZONE", "UTC", "there is no shop new_yrok; STOCKTAKE_SHOPS names berlin, new_york"),
        ("BERLIN__METRICS_TOKEN", "x" * 40, "all shops of a deployment share metrics_token"),
        ("BERLIN__LEAD_TIME_DAYS", "3", "a shop has no lead_time_days of its own"),
        (
            "NEW_YORK__LAKE",
            "/data/lake/berlin/",
            "have the same place, or one in the other's: see STOCKTAKE_BERLIN__LAKE",
        ),
        (
            "NEW_YORK__WAREHOUSE_URL",
            "postgresql://other@warehouse.invalid:5432/berlin",
            "STOCKTAKE_NEW_YORK__WAREHOUSE",
        ),
        (
            "NEW_YORK__LAKE",
            "/data/../data/lake/berlin/new_york",
            "STOCKTAKE_BERLIN__LAKE and STOCKTAKE_NEW",
        ),
        ("NEW_YORK__REPORTS", "/data/lake/berlin/pages", "see STOCKTAKE_BERLIN__LAKE and STOCKTAKE_NEW_YORK__REPORTS"),
        ("DAY_CLOSED", "kafka://days", "would hear each other's messages"),
    ],
)
def test_what_would_mix_shops_up_is_refused(environment: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    environment.setenv(f"STOCKTAKE_{name}", value)
    with pytest.raises(WrongShops) as refused:
        all_settings()
    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_two_shops_have_not_one_analyst(environment: pytest.MonkeyPatch) -> None:
    """The API of one would answer with the rows of the other."""
    for shop in ("BERLIN", "NEW_YORK"):
        environment.setenv(f"STOCKTAKE_{shop}__ANALYST_URL", "postgresql://analyst@warehouse.invalid/berlin")
    with pytest.raises(WrongShops, match="STOCKTAKE_BERLIN__ANALYST_URL and STOCKTAKE_NEW_YORK__ANALYST_URL"):
        all_settings()


def test_a_shops_own_lake_has_its_pages_beside_it(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STOCKTAKE_NEW_YORK__LAKE", "s3://york/lake")
    environment.setenv("STOCKTAKE_BERLIN__LAKE", "/disk/berlin/lake")
    assert {one.reports for one in all_settings().values()} == {"s3://york/lake/reports", "/disk/berlin/reports"}


def test_a_shop_that_was_alone_keeps_its_lake_where_the_others_have_theirs_elsewhere(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("STOCKTAKE_BERLIN__LAKE", "/data/lake")
    with pytest.raises(WrongShops, match="one in the other's: see STOCKTAKE_BERLIN__LAKE and STOCKTAKE_NEW_YORK__LAKE"):
        all_settings()
    environment.setenv("STOCKTAKE_LAKE", "/data/shops/lake")
    settings.cache_clear()
    assert {(one.lake, one.reports) for one in all_settings().values()} == {
        ("/data/lake", "/data/reports"),
        ("/data/shops/lake/new_york", "/data/shops/reports/new_york"),
    }


def test_what_is_wrong_with_one_shop_is_no_trouble_of_a_task_of_another(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STOCKTAKE_NEW_YORK__TIMEZONE", "Mars/Olympus")
    environment.setenv("STOCKTAKE_OSLO__TIMEZONE", "Europe/Oslo")  # it was taken out of STOCKTAKE_SHOPS
    with of_shop("berlin"):
        assert settings().timezone == "Europe/Berlin"


def test_each_hears_of_closed_days_from_its_own_outbox(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STOCKTAKE_DAY_CLOSED", "outbox")
    assert {one.day_closed for one in all_settings().values()} == {"outbox://stocktake_outbox"}


@pytest.mark.parametrize("names", ['["Berlin"]', '["a__b"]', '["_a"]', '["a", "a"]', "berlin"])
def test_a_name_of_a_shop_is_a_word_that_a_variable_can_have(environment: pytest.MonkeyPatch, names: str) -> None:
    environment.setenv("STOCKTAKE_SHOPS", names)
    with pytest.raises(ValidationError, match="shops"):
        shop_names()


def test_nothing_is_read_while_nothing_says_of_which_shop(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownShop, match="set STOCKTAKE_SHOP to one; STOCKTAKE_SHOPS names berlin, new_york"):
        settings()
    environment.setenv("STOCKTAKE_SHOP", "paris")
    with pytest.raises(UnknownShop, match="there is no shop paris"):
        settings()


def test_what_a_process_has_entered_counts_in_its_threads_and_in_what_it_starts(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("STOCKTAKE_SHOP", "berlin")  # undone after the test
    enter_shop("new_york")
    with ThreadPoolExecutor() as threads:
        assert threads.submit(lambda: settings().timezone).result() == "America/New_York"
    asked = "from include.settings import settings; print(settings().timezone)"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "America/New_York"


def test_a_block_counts_before_the_process_and_ends(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STOCKTAKE_SHOP", "berlin")
    with of_shop("new_york"):
        assert (current_shop(), dag_id_of("nightly")) == ("new_york", "nightly__new_york")
    assert (current_shop(), dag_id_of("nightly")) == ("berlin", "nightly__berlin")


@pytest.mark.parametrize(
    ("dag_id", "shop", "dag"),
    [
        ("nightly__berlin", "berlin", "nightly"),
        ("my__dag__new_york", "new_york", "my__dag"),
        ("nightly", None, "nightly"),
        ("nightly__paris", None, "nightly__paris"),
        ("berlin", None, "berlin"),
    ],
)
def test_a_dags_id_says_whose_it_is(dag_id: str, shop: str | None, dag: str) -> None:
    assert (shop_of(dag_id), dag_of(dag_id)) == (shop, dag)


def test_no_text_has_a_secret_of_any_shop() -> None:
    with of_shop("berlin"):
        assert redacted("s3cret-berlin and s3cret-york") == "*** and ***"
    assert redacted("s3cret-berlin and s3cret-york") == "*** and ***"
