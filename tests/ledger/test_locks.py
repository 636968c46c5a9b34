"""Turns: one at a time, held in a transaction, out of an analyst's reach; and who is in the way is said."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg
import pytest

from include.ledger.connection import connect
from include.ledger.locks import LockBusy, held, patient
from tests.conftest import Database

SOON = timedelta(seconds=0.4)


@pytest.mark.usefixtures("empty_ledger")
def test_one_at_a_time_by_name() -> None:
    order = list[str]()

    def wait() -> None:
        with held("publish"):
            order.append("second")

    with held("publish"):
        second = threading.Thread(target=wait)
        second.start()
        with held("accept"), held("build reporting.orders"):
            pass  # of another name
        second.join(0.5)
        assert second.is_alive()
        order.append("first")
    second.join(10)
    assert order == ["first", "second"]


@pytest.mark.usefixtures("empty_ledger")
def test_whoever_has_the_turn_is_named() -> None:
    with (
        held("publish"),
        pytest.raises(
            LockBusy, match=r"the turn publish waited 0.4 s for a lock of loader \(stocktake: publish, process"
        ),
        held("publish", patience=SOON),
    ):
        pass


def test_an_analyst_cannot_take_it(empty_ledger: Database) -> None:
    with empty_ledger.connect("analyst") as analyst:
        assert analyst.execute("select count(*) from audit.locks").fetchone() == (0,)
        analyst.execute("set default_transaction_read_only = off")
        for statement in (
            "select from audit.locks for update",
            "begin; lock table audit.locks in share mode; commit",
            "insert into audit.locks values ('publish')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                analyst.execute(statement.encode())
            analyst.rollback()
        # An advisory lock is for everybody: nothing of ours waits for one.
        analyst.execute("select pg_advisory_lock(hashtext('stocktake.publish'))")
        with held("publish", patience=SOON):
            pass


def work_while_the_turn_is_lost(empty_ledger: Database) -> None:
    """Have the connection that holds a turn cut, and another take the turn meanwhile."""
    with held("publish") as taken:
        taken.must_hold()
        with empty_ledger.connect() as server:
            server.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'stocktake: publish' and datname = current_database()"
            )
        with held("publish", patience=SOON):
            assert taken.connection.execute("select 1").fetchone() == (1,)
            taken.must_hold()
    raise AssertionError("it went on")


def test_a_turn_ends_with_its_connection_and_whoever_works_in_it_notices(empty_ledger: Database) -> None:
    with pytest.raises(psycopg.OperationalError):
        work_while_the_turn_is_lost(empty_ledger)


def test_a_turn_is_held_in_a_transaction_that_no_limit_of_the_server_ends(empty_ledger: Database) -> None:
    with empty_ledger.connect() as server:
        server.execute("alter role loader set idle_in_transaction_session_timeout = '200ms'")
    try:
        with held("publish") as taken:
            threading.Event().wait(0.6)
            taken.must_hold()
    finally:
        with empty_ledger.connect() as server:
            server.execute("alter role loader reset idle_in_transaction_session_timeout")


@pytest.mark.usefixtures("empty_ledger")
def test_nothing_is_prepared_on_the_server() -> None:
    """A pooler gives the next transaction another session, which may have a statement of the same name, or none."""
    with connect() as connection:
        for number in range(20):
            connection.execute("select %s::int", [number])
            connection.commit()
        assert connection.execute("select count(*) from pg_prepared_statements").fetchone() == (0,)


def test_an_analyst_who_left_a_transaction_open_is_named(empty_ledger: Database) -> None:
    """A table that has to be altered waits for its readers, for so long; then the message says for whom."""
    with psycopg.connect(empty_ledger.url("analyst"), application_name="a notebook") as analyst:
        analyst.execute("select * from reporting.data_status")
        named = (
            r"waited 0.4 s for a lock of analyst \(a notebook, process \d+, idle in transaction since .*\): select \*"
        )
        with (
            pytest.raises(LockBusy, match=named),
            connect() as connection,
            patient(connection, "publishing", SOON),
        ):
            connection.execute("drop view reporting.data_status")
