"""The ledger's schema: made, taken over, brought further once by whoever comes first, and otherwise left alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.sdk.definitions.retry_policy import RetryAction

from include.ledger import runs
from include.ledger.connection import connect
from include.ledger.locks import LockBusy
from include.ledger.migrations import (
    DEFINITIONS,
    ORDER,
    Definition,
    Migration,
    NewerLedger,
    WrongMigrations,
    migrate,
    prepare,
    read_definitions,
    read_migrations,
)
from include.ledger.runs import Kind, Run
from include.pipeline.task_defaults import task_defaults
from include.settings import settings
from tests.conftest import Database

BEFORE = Path(__file__).with_name("before_migrations.sql")
NIGHT = date(2026, 3, 1)
ROWS = """
insert into audit.runs (run_id, night, engine, full_refresh, dry_run, horizon, state)
values ('a night', '2026-03-01', 'auto', false, false, '2026-03-01', 'success');
insert into audit.runs (run_id, night, engine, full_refresh, dry_run, horizon, state, dag, built_from)
values ('its features', '2026-03-01', 'auto', false, false, '2026-03-01', 'success', 'features', 1);
insert into audit.builds (run_id, schema_name, table_name, engine, lake_version, rows, digest, horizon)
values ('a night', 'reporting', 'orders', 'duckdb', 0, 7, 'abc', '2026-03-01');
insert into audit.publications (run_id, night, horizon, snapshot_at)
values ('a night', '2026-03-01', '2026-03-01', '2026-03-02 04:00Z');
insert into audit.publication_tables
values (1, 'reporting', 'orders', 0, 7, 7, 0, true);
insert into audit.tables values ('reporting', 'orders', '{orders}', null);
insert into audit.quarantine (source, row_key, rules, row_values, amount, currency, quarantined_by)
values ('orders', '5', '{total}', '{}', 12.50, 'EUR', 'a night');
"""
# All that a schema is made of, told so that two databases can be compared.
SHAPE = """
select table_schema || '.' || table_name || '.' || column_name,
    concat_ws(' ', data_type, is_nullable, column_default, is_generated, generation_expression)
from information_schema.columns where table_schema in ('audit', 'reporting')
union all
select conrelid::regclass::text || ' ' || conname, pg_get_constraintdef(pg_constraint.oid)
from pg_constraint where connamespace = 'audit'::regnamespace
union all
select indexrelid::regclass::text, pg_get_indexdef(indexrelid)
from pg_index join pg_class on pg_class.oid = indrelid where relnamespace = 'audit'::regnamespace
union all
select 'view ' || schemaname || '.' || viewname, definition from pg_views where schemaname in ('audit', 'reporting')
union all
select 'comment on ' || concat_ws('.', objoid::regclass::text, attname), description
from pg_description left join pg_attribute on attrelid = objoid and attnum = objsubid and objsubid > 0
where classoid = 'pg_class'::regclass
    and objoid in (select oid from pg_class where relnamespace in ('audit'::regnamespace, 'reporting'::regnamespace))
"""


@pytest.fixture
def warehouse(warehouse_database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """An empty warehouse that the settings name."""
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", warehouse_database.url("loader"))
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql:///nowhere")
    settings.cache_clear()
    yield warehouse_database
    settings.cache_clear()


def ask(database: Database, statement: str, role: str = "loader") -> list[tuple[Any, ...]]:
    with database.connect(role) as connection:
        return connection.execute(statement.encode()).fetchall()


def tell(database: Database, statements: str, role: str = "loader") -> None:
    with database.connect(role) as connection:
        connection.execute(statements.encode())


def shape(database: Database) -> dict[str, str]:
    return dict(ask(database, SHAPE))


def next_transaction(database: Database) -> int:
    """The number that the next transaction gets that writes anything."""
    [(number,)] = ask(database, "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    assert isinstance(number, int)
    return number


def with_one_more(text: str, name: str = "more") -> list[Migration]:
    known = read_migrations()
    return [*known, Migration(len(known) + 1, name, text.encode())]


def applied(database: Database) -> Sequence[tuple[Any, ...]]:
    return ask(database, "select number, name from audit.migrations order by number")


def test_an_empty_database_gets_all_of_it(warehouse: Database) -> None:
    prepare()
    assert applied(warehouse) == [(one.number, one.name) for one in read_migrations()]
    assert ask(warehouse, "select name from audit.definitions order by name") == [(name,) for name in sorted(ORDER)]
    assert ask(warehouse, "select count(*) from reporting.data_status", "analyst") == [(0,)]
    assert ask(warehouse, "select count(*) from audit.verdicts", "analyst") == [(0,)]
    tell(warehouse, "create table features.later ()")
    assert ask(warehouse, "select count(*) from features.later", "analyst") == [(0,)]


def test_every_table_of_the_ledger_says_what_it_is(warehouse: Database) -> None:
    prepare()
    mute = """
        select relname from pg_class
        where relnamespace = 'audit'::regnamespace and relkind in ('r', 'v')
            and obj_description(oid, 'pg_class') is null
    """
    assert ask(warehouse, mute) == []


def test_a_ledger_from_before_migrations_is_taken_over_with_its_rows(warehouse: Database, cluster: Any) -> None:
    tell(warehouse, BEFORE.read_text())
    tell(warehouse, ROWS)
    tables = [
        f"audit.{name}" for name in ("runs", "builds", "publications", "publication_tables", "tables", "quarantine")
    ]
    statement = "select to_jsonb(row) from {} as row order by 1"
    before = {name: ask(warehouse, statement.format(name)) for name in (*tables, "audit.verdicts")}
    assert all(before.values())
    prepare()
    for name, rows in before.items():
        now = ask(warehouse, statement.format(name))
        assert [{column: value[column] for column in old} for (old,), (value,) in zip(rows, now, strict=True)] == [
            old for (old,) in rows
        ], name
    assert ask(warehouse, "select verdict from reporting.data_status") == [("published, some rows are in quarantine",)]
    assert ask(warehouse, "select dag, kind, built_from from audit.runs order by dag") == [
        ("features", "tables", 1),
        ("nightly", "night", None),
    ]
    assert runs.find_run("its features").kind is Kind.TABLES

    empty = Database(cluster, "warehouse").copy()
    with psycopg.connect(empty.url("loader")) as connection:
        migrate(connection)
    assert shape(warehouse) == shape(empty)
    empty.drop()


def test_a_ledger_from_long_before_migrations_is_taken_over_too(warehouse: Database) -> None:
    tell(warehouse, BEFORE.read_text())
    expected = shape(warehouse)
    tell(
        warehouse,
        """
        alter table audit.runs
            drop column dag cascade, drop column built_from, drop column judged_at cascade,
            drop column changed_until, drop column accepting_from;
        alter table audit.source_counts
            drop column late, drop column gone, drop column proof,
            drop column known, drop column replaced, drop column held_version;
        alter table audit.builds
            drop column inputs, drop column definition, drop column built_at, drop column horizon;
        insert into audit.runs (run_id, night, engine, full_refresh, dry_run, horizon)
        values ('an old night', '2026-03-01', 'auto', false, false, '2026-03-01');
        insert into audit.builds (run_id, schema_name, table_name, engine, lake_version, rows, digest)
        values ('an old night', 'reporting', 'orders', 'duckdb', 0, 7, 'abc');
        """,
    )
    prepare()
    now = shape(warehouse)
    assert {name for name in expected if name not in now} == set()
    assert ask(warehouse, "select horizon from audit.builds") == [(NIGHT,)]
    assert runs.find_run("an old night") == Run("an old night", NIGHT, NIGHT)


def test_a_second_prepare_writes_nothing_and_waits_for_nobody(warehouse: Database) -> None:
    prepare()
    with psycopg.connect(warehouse.url("analyst")) as reader, psycopg.connect(warehouse.url("loader")) as other:
        reader.execute("select count(*) from reporting.data_status, audit.verdicts")
        # Not even for another that prepares, or changes the view.
        other.execute("lock table audit.migrations in share row exclusive mode")
        before = next_transaction(warehouse)
        with psycopg.connect(warehouse.url("loader"), options="-c lock_timeout=1s") as connection:
            migrate(connection)
            locks = "select distinct mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation'"
            assert connection.execute(locks).fetchall() == [("AccessShareLock",)]
        assert next_transaction(warehouse) == before


def test_those_that_come_at_once_wait_for_the_first(warehouse: Database) -> None:
    start = threading.Barrier(4)

    def begin() -> None:
        start.wait()
        prepare()

    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(begin) for _ in range(4)]:
            one.result()
    assert applied(warehouse) == [(one.number, one.name) for one in read_migrations()]


def test_a_later_number_is_applied_once(warehouse: Database) -> None:
    prepare()
    more = with_one_more("create table audit.more (); alter table audit.runs add column more text")
    start = threading.Barrier(2)

    def begin() -> None:
        start.wait()
        with connect() as connection:
            migrate(connection, more)

    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(begin) for _ in range(2)]:
            one.result()
    assert applied(warehouse)[-1] == (len(more), "more")
    assert ask(warehouse, "select count(*) from audit.more", "analyst") == [(0,)]


def test_a_migration_that_fails_leaves_nothing(warehouse: Database) -> None:
    prepare()
    before = shape(warehouse)
    with pytest.raises(psycopg.errors.DivisionByZero), connect() as connection:
        migrate(connection, with_one_more("create table audit.half (); select 1 / 0"))
    assert shape(warehouse) == before
    assert len(applied(warehouse)) == len(read_migrations())


def test_a_lock_that_is_not_had_in_time_is_said_and_tried_again(warehouse: Database) -> None:
    with psycopg.connect(warehouse.url("loader")) as other:
        other.execute("select pg_advisory_xact_lock(hashtext('stocktake.ledger'))")
        with (
            pytest.raises(LockBusy, match=r"waited 0.2 s for a lock of loader \(process") as said,
            connect() as connection,
        ):
            migrate(connection, patience=timedelta(seconds=0.2))
    assert len(str(said.value).splitlines()) == 1
    assert task_defaults()["retry_policy"].evaluate(said.value, 1, 4).action is RetryAction.DEFAULT
    prepare()


def test_whoever_reads_a_view_that_changed_is_waited_for_as_long(warehouse: Database) -> None:
    prepare()
    changed = [
        Definition(one.name, one.text + b"-- changed") if one.name == "reporting.data_status" else one
        for one in read_definitions()
    ]
    with psycopg.connect(warehouse.url("analyst")) as reader:
        reader.execute("select count(*) from reporting.data_status")
        with pytest.raises(LockBusy), connect() as connection:
            migrate(connection, definitions=changed, patience=timedelta(seconds=0.2))
    with connect() as connection:
        migrate(connection, definitions=changed)
    [(digest,)] = ask(warehouse, "select digest from audit.definitions where name = 'reporting.data_status'")
    assert digest == next(one.digest for one in changed if one.name == "reporting.data_status")


def test_a_changed_text_touches_no_other_definition(warehouse: Database) -> None:
    prepare()
    times = "select name, applied_at from audit.definitions order by name"
    before = dict(ask(warehouse, times))
    changed = [
        Definition(one.name, one.text + b"-- changed") if one.name == "comments" else one for one in read_definitions()
    ]
    with connect() as connection:
        migrate(connection, definitions=changed)
    assert {name for name, at in ask(warehouse, times) if at != before[name]} == {"comments"}


def test_a_view_of_an_analyst_on_top_of_ours_survives(warehouse: Database) -> None:
    tell(warehouse, BEFORE.read_text())
    tell(
        warehouse,
        """
        create schema team;
        create view team.late as select published_table, verdict from reporting.data_status where verdict <> 'ok';
        create view reporting.also as select * from audit.verdicts
        """,
        "postgres",
    )
    prepare()
    changed = [Definition(one.name, one.text + b"-- changed") for one in read_definitions()]
    with connect() as connection:
        migrate(connection, definitions=changed)
    tell(warehouse, "insert into audit.tables values ('reporting', 'orders', '{orders}', null)")
    assert ask(warehouse, "select * from team.late", "postgres") == [("reporting.orders", "not published yet")]
    assert ask(warehouse, "select count(*) from reporting.also", "postgres") == [(0,)]


@pytest.mark.parametrize(
    "by_hand",
    [
        "drop view reporting.data_status",
        "drop view audit.verdicts",
        "create or replace view audit.verdicts as select * from audit.verdicts where false",
        "comment on view reporting.data_status is null",
        "comment on column audit.runs.night is 'something else'",
        "revoke select on audit.runs from analyst",
        "revoke usage on schema features from analyst",
        "alter default privileges in schema reporting revoke select on tables from analyst",
    ],
)
def test_what_was_changed_by_hand_is_made_anew(warehouse: Database, by_hand: str) -> None:
    prepare()
    rights = """
        select what, grantee::regrole::text, privilege_type
        from (
            select 'default ' || defaclnamespace::regnamespace::text, defaclacl from pg_default_acl
            union all select nspname, nspacl from pg_namespace where nspname in ('audit', 'reporting', 'features')
            union all select relname, relacl from pg_class where relname in ('runs', 'data_status', 'verdicts')
        ) as granted (what, acl)
        cross join aclexplode(acl)
        order by 1, 2, 3
    """
    before = shape(warehouse), ask(warehouse, rights)
    tell(warehouse, by_hand.replace("from audit.verdicts where", f"from ({_verdicts()}) as row where"))
    assert (shape(warehouse), ask(warehouse, rights)) != before
    prepare()
    assert (shape(warehouse), ask(warehouse, rights)) == before
    number = next_transaction(warehouse)
    prepare()
    assert next_transaction(warehouse) == number


def _verdicts() -> str:
    text = (DEFINITIONS / "audit.verdicts.sql").read_text()
    return text.partition("create or replace view audit.verdicts as")[2].partition(";")[0]


def test_an_analyst_who_comes_later_is_granted_what_there_is(warehouse: Database) -> None:
    """The test cluster has the role already; it is called otherwise meanwhile, as if it were not there."""
    tell(warehouse, "alter role analyst rename to nobody_yet", "postgres")
    try:
        prepare()
        before = next_transaction(warehouse)
        prepare()
        assert next_transaction(warehouse) == before
        assert ask(warehouse, "select has_schema_privilege('nobody_yet', 'audit', 'usage')") == [(False,)]
    finally:
        tell(warehouse, "alter role nobody_yet rename to analyst", "postgres")
    prepare()
    assert ask(warehouse, "select count(*) from reporting.data_status", "analyst") == [(0,)]


def test_the_ledger_knows_the_kinds_of_runs_and_no_others(warehouse: Database) -> None:
    prepare()
    for kind in Kind:
        runs.open_run(Run(kind, NIGHT, NIGHT, dag=kind, kind=kind, built_from=1))
        assert runs.find_run(kind).kind is kind
    with pytest.raises(psycopg.errors.CheckViolation):
        tell(warehouse, "update audit.runs set kind = 'weekly'")


def test_a_newer_ledger_is_refused(warehouse: Database) -> None:
    more = with_one_more("select 1", "what_will_come")
    with connect() as connection:
        migrate(connection, more)
    before = next_transaction(warehouse)
    known = len(read_migrations())
    with pytest.raises(NewerLedger, match=f"newer Stocktake: it has migration {known + 1}, what_will_come, and this"):
        prepare()
    assert next_transaction(warehouse) == before


@pytest.mark.parametrize(
    ("by_hand", "said"),
    [
        ("delete from audit.migrations where number = 1", "recorded in the ledger: number 1 is missing"),
        (
            "update audit.migrations set name = 'other' where number = 1",
            "is other in the ledger and ledger in the code",
        ),
    ],
)
def test_a_ledger_whose_numbers_cannot_be_right_is_refused(warehouse: Database, by_hand: str, said: str) -> None:
    with connect() as connection:
        migrate(connection, with_one_more("select 1"))
    tell(warehouse, by_hand)
    with pytest.raises(WrongMigrations, match=said), connect() as connection:
        migrate(connection, with_one_more("select 1"))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["0001_ledger.sql", "0003_more.sql"], "number 2 is missing; the next one is 3"),
        (["0001_ledger.sql", "0002_mine.sql", "0002_yours.sql"], "number 2 is used twice"),
        (["0002_more.sql"], "number 1 is missing"),
        (["0001_ledger.sql", "2_more.sql"], "2_more.sql is not named like a migration"),
    ],
)
def test_files_whose_numbers_cannot_be_right_are_refused(tmp_path: Path, names: list[str], said: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(WrongMigrations, match=said):
        read_migrations(tmp_path)


def test_every_definition_in_the_folder_is_made() -> None:
    assert {file.stem for file in DEFINITIONS.glob("*.sql")} == set(ORDER)
