"""What may pass is tried again, and nothing else: by Postgres' SQLSTATE, and by the words of DuckDB's errors."""

from __future__ import annotations

import re

import duckdb
import psycopg
import pytest
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from include.contributing.pages import troubles_table
from include.lake import duckdb_session as duck
from include.ledger import runs
from include.ledger.locks import LockBusy
from include.ledger.runs import Run
from include.pipeline.stages import stage
from include.pipeline.task_defaults import task_defaults
from include.pipeline.troubles import TROUBLES, MayPass, Outcome, WillNotPass, may_pass
from include.settings import ROOT
from tests.conftest import Database
from tests.nights import LAST_DAY

# A code of every class that Postgres has, and whether a step that ends with it is tried again.
PASSES = {
    "08000": True, "08006": True, "40001": True, "40P01": True, "53000": True, "53100": True, "53200": True,
    "53300": True, "55P03": True, "55006": True, "57014": True, "57P01": True, "57P03": True, "58000": True,
    "58030": True, "25006": True,
    "25P02": False, "0A000": False, "21000": False, "22003": False, "23505": False, "28000": False, "28P01": False,
    "3D000": False, "3F000": False, "42501": False, "42601": False, "42P01": False, "44000": False, "54000": False,
    "P0001": False, "XX000": False, "XX001": False, "F0000": False, "HV000": False,
}  # fmt: skip


def action(error: BaseException) -> RetryAction:
    """What Airflow does with a task that failed with this."""
    return RetryAction(task_defaults()["retry_policy"].evaluate(error, 1, 4).action)


@pytest.mark.parametrize("state", PASSES)
def test_every_class_of_errors(empty_ledger: Database, state: str) -> None:
    """As Postgres raises it in a step: it is told apart there, and Airflow's policy knows what to do."""
    runs.open_run(Run("a run", LAST_DAY, LAST_DAY))
    with (
        pytest.raises((MayPass, WillNotPass, psycopg.Error)) as failed,
        stage("a run", "publish"),
        empty_ledger.connect("loader") as connection,
    ):
        connection.execute(f"do $$ begin raise exception 'so it goes' using errcode = '{state}'; end $$".encode())
    assert isinstance(failed.value, MayPass) is PASSES[state]
    assert "so it goes" in str(failed.value)
    assert action(failed.value) is (RetryAction.DEFAULT if PASSES[state] else RetryAction.FAIL)


def test_an_api_server_that_does_not_answer_is_waited_for() -> None:
    """What a task gets from its supervisor once that has tried in vain."""
    answer = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": None, "message": "timed out"})
    assert action(AirflowRuntimeError(answer)) is RetryAction.DEFAULT


def test_a_read_only_warehouse_is_tried_again(empty_ledger: Database) -> None:
    with empty_ledger.connect() as owner:
        owner.execute(
            SQL("alter database {} set default_transaction_read_only = on").format(Identifier(empty_ledger.name))
        )
    runs_step = stage("a run", "publish")
    with pytest.raises(MayPass, match="read-only transaction"), runs_step, empty_ledger.connect("loader") as connection:
        connection.execute("create table reporting.one ()")


def by_duckdb(database: Database, statement: str, options: str = "") -> duckdb.Error | ConnectionError:
    """What DuckDB raises when Postgres refuses a statement of a source."""
    url = SecretStr(f"{database.url('shopkeeper')}{options}")
    try:
        with duck.session() as session:
            duck.attach(session, "shop", url, read_only=True)
            session.execute("from postgres_query('shop', ?)", [statement]).fetchall()
    except (duckdb.Error, ConnectionError) as refused:
        return refused
    raise AssertionError("Postgres did it")


@pytest.mark.usefixtures("own_lake")
def test_a_shop_that_waits_too_long_is_tried_again(shop_database: Database) -> None:
    with shop_database.connect("shopkeeper") as shop:
        shop.execute("create table orders (order_id int)")
    with psycopg.connect(shop_database.url("shopkeeper")) as other:
        other.execute("lock table orders")
        for setting in ("lock_timeout", "statement_timeout"):
            found = by_duckdb(shop_database, "select * from orders", f"?options=-c%20{setting}%3D200ms")
            assert may_pass(found) or action(found) is RetryAction.DEFAULT, setting
            assert "canceling statement due to" in str(found)


@pytest.mark.parametrize(
    ("statement", "passes"),
    [
        ("select pg_terminate_backend(pg_backend_pid())", True),
        ("select raises('could not extend file \"base/1\": No space left on device')", True),
        ("select raises('out of memory')", True),
        ("select raises('deadlock detected')", True),
        ("select raises('permission denied for table orders')", False),
        ("select raises('division by zero')", False),
        ("select * from nowhere", False),
    ],
)
@pytest.mark.usefixtures("own_lake")
def test_words_of_duckdb(shop_database: Database, statement: str, passes: bool) -> None:
    with shop_database.connect("shopkeeper") as shop:
        shop.execute("create function raises(text) returns int language plpgsql as $$ begin raise '%', $1; end $$")
    found = by_duckdb(shop_database, statement)
    assert (may_pass(found) or isinstance(found, ConnectionError)) is passes, found


def test_a_lock_that_is_busy_is_tried_again() -> None:
    assert action(LockBusy("the turn publish waited")) is RetryAction.DEFAULT


def test_the_readme_shows_the_table() -> None:
    shown = (ROOT / "README.md").read_text()
    assert troubles_table() in shown
    for one in TROUBLES:
        assert f"| {one.what} | {one.outcome} | {one.then} |" in shown
    assert {one.outcome for one in TROUBLES} == set(Outcome)
    assert all(re.compile(one.words) for one in TROUBLES if one.words)
