"""Publishing: all or nothing, twice is once, readers never see a mixture."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from include.lake import tables as lake
from include.pipeline import nightly, tables_dag
from tests.conftest import Database
from tests.nights import Nights

STATE = (
    "select * from audit.publications order by 1",
    "select * from audit.watermarks order by 1",
    "select * from audit.publication_tables order by 1, 2, 3",
    "select * from audit.quarantine order by 1",
)


def state(nights: Nights) -> list[Any]:
    """Everything that a publication changes."""
    return [nights.published(), *(nights.ask(statement) for statement in STATE)]


def change_much(nights: Nights) -> None:
    """Change every line's cost and cancel an order in time: rows of every kind of table differ, no rule is broken."""
    nights.shop.execute("update order_items set unit_cost = unit_cost + 1, updated_at = now()")
    nights.shop.execute(
        "update orders set status = 'cancelled', cancelled_at = ordered_at, cancelled_by = 'shop', updated_at = now(),"
        " cancellation_reason = 'test' where order_id = (select max(order_id) from orders where status = 'processing')"
    )


@pytest.mark.long
def test_publishing_a_run_twice_is_publishing_it_once(nights: Nights) -> None:
    run, features_run = nights.report(), nights.feature()
    before = state(nights)
    nightly.publish(run, nights.reporting)
    tables_dag.publish(features_run, nights.features)
    assert state(nights) == before
    assert nights.ask(
        "select publication_id, sum(inserted) > 0, sum(deleted) from audit.publication_tables group by 1 order by 1"
    ) == [(1, True, 0), (2, True, 0)]
    assert nights.ask("select distinct _publication_id from reporting.orders") == [(1,)]


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_failure_half_way_leaves_the_old_night(nights: Nights) -> None:
    """Wherever it fails: at the first table, after the last, at the very end. The retry then publishes all of it."""
    nights.shop.execute("update customers set email = 'nobody', updated_at = now() where customer_id = 1")
    before = state(nights)
    change_much(nights)
    nights.warehouse.execute("create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$")
    run = nights.begin()
    nightly.extract(run)
    nights.judge_and_build(run)
    for table in ("reporting.order_lines", "audit.quarantine", "audit.watermarks"):
        nights.warehouse.execute(
            f"create trigger refuse before insert or update on {table} for each row execute function refuse()".encode()
        )
        with pytest.raises(psycopg.errors.RaiseException, match="no"):
            nightly.publish(run, nights.reporting)
        assert state(nights) == before
        nights.warehouse.execute(f"drop trigger refuse on {table}".encode())
    nightly.publish(run, nights.reporting)
    after = state(nights)
    assert after != before
    assert nights.ask("select count(*) from audit.quarantine where outcome = 'open'") == [(1,)]


def test_a_first_publication_that_fails_half_way_leaves_no_table(nights: Nights, warehouse_database: Database) -> None:
    """It fails when two of its tables are filled and have their keys."""
    with warehouse_database.connect() as owner:
        owner.execute(
            """
            create function refuse() returns event_trigger language plpgsql as $$ begin
                if 3 = (
                    select count(*) from pg_constraint
                    where contype = 'p' and connamespace = 'reporting'::regnamespace
                ) then raise 'no'; end if;
            end $$;
            create event trigger refuse on ddl_command_end when tag in ('ALTER TABLE') execute function refuse()
            """
        )
        run = nights.begin()
        nightly.extract(run)
        nights.judge_and_build(run)
        with pytest.raises(psycopg.errors.RaiseException, match="no"):
            nightly.publish(run, nights.reporting)
        tables = (
            "select count(*) from pg_tables where schemaname in ('reporting', 'staging') and tablename <> 'data_status'"
        )
        assert nights.ask(tables) == [(0,)]
        owner.execute("drop event trigger refuse")
    nightly.publish(run, nights.reporting)
    assert nights.ask("select table_name, rows - inserted, deleted from audit.publication_tables order by 1") == [
        ("daily_sales", 0, 0), ("order_lines", 0, 0), ("orders", 0, 0)
    ]  # fmt: skip


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_vacuum_of_the_live_tables_is_not_waited_for(nights: Nights) -> None:
    """Whoever waits for its lock ends it after a second; tables that change every night would never be vacuumed."""
    change_much(nights)
    run = nights.begin()
    nightly.extract(run)
    nights.judge_and_build(run)
    nights.warehouse.execute(
        SQL("alter role loader in database {} set lock_timeout = '2s'").format(Identifier(nights.warehouse.info.dbname))
    )
    nights.warehouse.execute("comment on column reporting.orders.units is 'something else'")
    with nights.warehouse.transaction():
        for table in nights.reporting:
            if table.name != "orders":
                nights.warehouse.execute(f"lock {table.qualified_name} in share update exclusive mode".encode())
        nightly.publish(run, nights.reporting)
    assert nights.ask(
        "select col_description('reporting.orders'::regclass, attnum) from pg_attribute"
        " where attrelid = 'reporting.orders'::regclass and attname = 'units'"
    ) != [("something else",)]


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_killed_publisher_leaves_the_old_night_and_no_lock(nights: Nights, warehouse_database: Database) -> None:
    before = state(nights)
    change_much(nights)
    run = nights.begin()
    nightly.extract(run)
    nights.judge_and_build(run)
    failure: list[BaseException] = []

    def publish() -> None:
        try:
            nightly.publish(run, nights.reporting)
        except (psycopg.OperationalError, OSError) as error:
            failure.append(error)

    publisher = threading.Thread(target=publish, daemon=True)
    # Locked rows hold the publisher up in the middle of its transaction; there its backend is killed.
    with psycopg.connect(warehouse_database.url()) as blocker, warehouse_database.connect() as killer:
        blocker.execute("select order_id from reporting.orders for update")
        publisher.start()
        deadline = time.monotonic() + 60
        while not killer.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock'"
            " and datname = current_database() and query like '%delete from reporting.orders %'"
        ).fetchall():
            assert time.monotonic() < deadline
        publisher.join()
        blocker.rollback()
    assert failure
    assert state(nights) == before
    nightly.publish(run, nights.reporting)
    assert nights.published() != before[0]
    assert nights.ask("select count(*) from pg_tables where schemaname = 'staging'") == [(0,)]


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_reader_in_a_loop_never_sees_two_publications_mixed(nights: Nights, warehouse_database: Database) -> None:
    seen: set[tuple[Any, ...]] = set()
    stop = threading.Event()

    def read() -> None:
        with psycopg.connect(warehouse_database.url("analyst"), autocommit=True) as reader:
            while not stop.is_set():
                row = reader.execute(
                    "select (select max(publication_id) from audit.publications),"
                    " (select sum(gross_margin) from reporting.orders),"
                    " (select sum(gross_margin) from reporting.order_lines),"
                    " (select sum(net_sales) from reporting.daily_sales)"
                ).fetchone()
                assert row
                seen.add(row)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(2):
            change_much(nights)
            nights.report()
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert len(seen) >= 3
    assert len({publication for publication, *_ in seen}) == len(seen)
    for _, orders, lines, _ in seen:
        assert orders == lines


@pytest.mark.after_a_night
def test_a_lake_version_is_tied_to_its_publication(nights: Nights) -> None:
    published = nights.ask("select schema_name, table_name, lake_version, rows from audit.publication_tables")
    assert len(published) == len(nights.tables)
    for schema, table, version, rows in published:
        assert bool(lake.files(schema, table, version)) == (rows > 0)


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_night_looks_only_at_rows_that_are_not_published_as_they_are(nights: Nights) -> None:
    """A live row that no commit of the lake names is neither judged nor compared; a full refresh compares them all."""
    right = nights.published()
    nights.warehouse.execute("update reporting.orders set tax = tax + 1 where order_id = 1")
    nights.shop.execute("update orders set payment_id = 'again', updated_at = now() where order_id = 2")
    run = nights.report()
    [(looked_at,)] = nights.ask(
        "select max(evaluated) from audit.expectation_results where run_id = %s and table_name = 'reporting.orders'",
        run,
    )
    assert looked_at <= 1
    assert nights.published() != right
    [(rows,)] = nights.ask(
        "select rows from audit.publication_tables where table_name = 'orders' order by publication_id desc limit 1"
    )
    assert [(rows,)] == nights.ask("select count(*) from reporting.orders")
    nights.report(full_refresh=True)
    assert nights.published() == right
    [(looked_at,)] = nights.ask(
        "select evaluated from audit.expectation_results join audit.runs using (run_id)"
        " where table_name = 'reporting.orders' and rule = 'one_row_per_key' order by started_at desc limit 1"
    )
    assert looked_at == rows
