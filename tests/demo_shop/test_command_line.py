"""The shop's commands, as a person types them."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from include.demo_shop.__main__ import app
from include.demo_shop.defects import DEFECTS
from tests.conftest import Database
from tests.demo_shop.conftest import shopkeeper
from tests.demo_shop.invariants import broken_invariants

FILL = ("fill", "--orders", "400", "--days", "20", "--products", "10")


def run(database: Database, *arguments: str, exit_code: int = 0) -> str:
    """What a command says."""
    environment = {"STOCKTAKE_SHOPKEEPER_URL": database.url("shopkeeper"), "STOCKTAKE_TIMEZONE": "Pacific/Kiritimati"}
    result = CliRunner(env=environment).invoke(app, list(arguments))
    assert result.exit_code == exit_code, result.output
    return result.output


def test_a_shop_is_filled_once(shop_database: Database) -> None:
    first = run(shop_database, *FILL)
    second = run(shop_database, *FILL)

    yesterday = datetime.now(ZoneInfo("Pacific/Kiritimati")).date() - timedelta(days=1)
    assert f"The shop has 20 days of past up to {yesterday}" in first
    assert "has a past already" in second
    with shopkeeper(shop_database) as shop:
        assert broken_invariants(shop) == {}


def test_a_shop_is_created_empty_with_the_keys_asked_for(shop_database: Database) -> None:
    assert "none of integer, text, uuid" in run(shop_database, "create", "--keys", "float", exit_code=2)
    assert "and empty" in run(shop_database, "create", "--keys", "text")
    assert "exist already" in run(shop_database, "create")
    assert "up to 2024-02-29" in run(shop_database, *FILL, "--last-day", "2024-02-29")
    with shopkeeper(shop_database) as shop:
        assert shop.execute("select min(order_id) from orders").fetchone() == ("ord-000001",)


def test_trade_says_what_happened(old_shop: Database) -> None:
    assert "created" in run(old_shop, "trade", "--seconds", "1", "--per-second", "200")


def test_an_empty_shop_cannot_trade(shop_database: Database) -> None:
    run(shop_database, "create")
    assert "fill it first" in run(shop_database, "trade", exit_code=1)


def test_defects_are_planted_listed_and_healed(old_shop: Database) -> None:
    assert "nan_price" in run(old_shop, "plant", "nan_price")
    assert run(old_shop, "defects").count("[planted in ") == 1
    assert "planted already" in run(old_shop, "plant", "--all", exit_code=1)
    assert "no defect 'gremlin'" in run(old_shop, "plant", "zero_quantity", "gremlin", exit_code=1)
    assert run(old_shop, "defects").count("[planted in ") == 1
    assert "1 healed" in run(old_shop, "unplant")
    assert len(run(old_shop, "plant", "--all").splitlines()) == len(DEFECTS)
    assert f"{len(DEFECTS)} healed" in run(old_shop, "unplant")
    with shopkeeper(old_shop) as shop:
        assert broken_invariants(shop) == {}


@pytest.mark.parametrize("arguments", [("plant",), ("plant", "--all", "nan_price")])
def test_what_to_plant_is_said_once(old_shop: Database, arguments: tuple[str, ...]) -> None:
    assert "names of defects, or --all" in run(old_shop, *arguments, exit_code=2)


def test_the_defects_can_be_read_without_a_shop() -> None:
    result = CliRunner().invoke(app, ["defects"])
    assert [line.split()[0] for line in result.output.splitlines()] == list(DEFECTS)


def test_yesterday_is_closed_once_and_today_is_not(shop_database: Database) -> None:
    run(shop_database, "create")
    today = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    yesterday = today - timedelta(days=1)

    assert f"{yesterday} is closed." in run(shop_database, "close-day")
    assert f"{yesterday} is closed already" in run(shop_database, "close-day", "--day", f"{yesterday}", exit_code=1)
    assert f"{today} is not over" in run(shop_database, "close-day", "--day", f"{today}", exit_code=1)
    with shopkeeper(shop_database) as shop:
        assert shop.execute("select business_day from stocktake_outbox").fetchall() == [(yesterday,)]
