"""A ledger in a real warehouse, and nights in it as a shop would leave them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from playwright.sync_api import Page

from include.ledger import builds, copies, expectations, runs
from include.ledger.expectations import Outcome
from include.ledger.migrations import prepare
from include.ledger.runs import Run
from include.settings import ROOT, settings
from include.sources import SOURCES
from tests.browser import blank_page
from tests.conftest import Database
from tests.ports import free_port
from transforms.registry import TABLES

NIGHT = date(2026, 11, 21)
ORDER = {
    "order_id": 7001,
    "customer_id": 12,
    "status": "<script>alert(1)</script>",
    "currency": "EUR",
    "total_cents": 11000,
    "_unreadable": None,
}


PASSWORD = "of-the-test"  # noqa: S105 - of nobody
SECRET = "a-secret-of-the-test-that-is-long-enough-for-every-signature-there-is"  # noqa: S105 - of Airflow in the test
USERS = {"admin": "admin", "operator": "user", "viewer": "viewer"}  # and their roles in Airflow


class HasLogins(Protocol):
    """A database with a URL for each of its roles."""

    def url(self, role: str) -> str:
        """The URL of a role."""


@contextmanager
def airflow_of(
    warehouse: HasLogins, home: Path, users: Mapping[str, str] = USERS, **more: str
) -> Iterator[httpx.Client]:
    """Airflow's API server with the plugin over a warehouse, for a visitor who has not logged in.

    Args:
        warehouse: what its pages and its API read.
        home: an empty folder for Airflow.
        users: who can log in, and their roles.
        more: further variables of its environment.
    """
    (home / "logins.json").write_text(json.dumps(dict.fromkeys(users, PASSWORD)))
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "STOCKTAKE_"))}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    environment = {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in users.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "logins.json"),
        "AIRFLOW__API_AUTH__JWT_SECRET": SECRET,
        "STOCKTAKE_WAREHOUSE_URL": warehouse.url("loader"),
        "STOCKTAKE_ANALYST_URL": warehouse.url("analyst"),
        "STOCKTAKE_SHOP_URL": "postgresql://extractor@shop.invalid/shop",
        **more,
    }
    log = home / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("airflow_server.py")), str(port)],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            _wait(client, server, log)
            yield client
    finally:
        server.terminate()
        server.wait(20)


def with_exports(home: Path) -> None:
    """Have an Airflow that is about to start know the DAG of exports."""
    (home / "dags").mkdir()
    shutil.copy(ROOT / "dags" / "exports.py", home / "dags")


def token_of(airflow: httpx.Client, user: str) -> str:
    """What Airflow gives to someone who logs in."""
    answer = airflow.post("/auth/token", json={"username": user, "password": PASSWORD})
    return str(answer.json()["access_token"])


@contextmanager
def logged_in(airflow: httpx.Client, user: str) -> Iterator[httpx.Client]:
    """A program of a user."""
    headers = {"Authorization": f"Bearer {token_of(airflow, user)}"}
    with httpx.Client(base_url=airflow.base_url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem that an answer states."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    return found


def _wait(client: httpx.Client, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            client.get("/api/v2/version")
        except httpx.TransportError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        else:
            return


@contextmanager
def ledger_in(database: Database) -> Iterator[None]:
    """An empty ledger in a warehouse, and the settings that lead to it while the block runs."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STOCKTAKE_WAREHOUSE_URL", database.url("loader"))
        environment.setenv("STOCKTAKE_SHOP_URL", "postgresql://extractor@shop.invalid/shop")
        settings.cache_clear()
        prepare()
        yield
    settings.cache_clear()


@pytest.fixture
def ledger(warehouse_database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Database]:
    """An empty ledger, and the settings that lead to it."""
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", warehouse_database.url("loader"))
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql://extractor:unused-secret@shop.invalid/shop")
    monkeypatch.setenv("STOCKTAKE_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setenv("STOCKTAKE_TIMEZONE", "Europe/Berlin")
    settings.cache_clear()
    prepare()
    yield warehouse_database
    settings.cache_clear()


def extracted(run_id: str, *, dry_run: bool = False) -> Run:
    """A run that has read 1,000 orders and 4 customers, judged them and found three rules broken."""
    run = Run(run_id, NIGHT, NIGHT, dry_run=dry_run)
    runs.open_run(run)
    snapshot = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
    before = {"known": 0, "replaced": 0, "deleted": 0}
    read = {"changed_since": "-infinity", "late": 0, "gone": 0, "proof": "whole", **before}
    counts = {"customers": 4, "orders": 1000}
    copies.record_extracted(
        run_id, snapshot, snapshot,
        {name: {**read, "extracted": rows, "source_rows": rows} for name, rows in counts.items()},
    )  # fmt: skip
    expectations.record_outcomes(run_id, "source.customers", _outcomes("customers", {"email_filled": 1}))
    broken = {"status_known": 1, "total_equals_parts": 2}
    expectations.record_outcomes(run_id, "source.orders", _outcomes("orders", broken))
    with runs.timed(run_id, "extract"):
        pass
    return run


def accepted(run_id: str, *, dry_run: bool = False) -> Run:
    """The same, gone through the gate: two orders are held."""
    run = extracted(run_id, dry_run=dry_run)
    nothing = dict.fromkeys(("quarantined", "released", "recalled", "held_rows", "clean_version", "held_version"), 0)
    orders = nothing | {"accepted": 998, "quarantined": 2, "clean_rows": 998, "held_rows": 2}
    copies.record_accepted(run_id, {"customers": nothing | {"accepted": 4, "clean_rows": 4}, "orders": orders})
    builds.record(run, TABLES["orders"].table, "pandas", 5, 998, "998:1", {"clean.orders": 0}, "a definition")
    for name in ("accept", "build orders", "audit"):
        with runs.timed(run_id, name):
            pass
    return run


def published(ledger: Database, run_id: str, *, state: str = "success") -> Run:
    """The same, published: one held order is worth 110.00 EUR, the other 70.00 USD; one of an earlier night is free."""
    run = accepted(run_id)
    with ledger.connect("loader") as connection, connection.transaction():
        row = connection.execute(
            "insert into audit.publications (run_id, night, horizon, snapshot_at) values (%s, %s, %s, now())"
            " returning publication_id",
            [run_id, run.night, run.horizon],
        ).fetchone()
        assert row is not None
        connection.execute(
            "insert into audit.publication_tables values (%s, 'reporting', 'orders', 5, 998, 321, 123, true)", [row[0]]
        )
    hold(ledger, run_id, "7001", ["status_known", "total_equals_parts"], "110.00", "EUR")
    hold(ledger, run_id, "7002", ["total_equals_parts"], "70.00", "USD")
    hold(ledger, run_id, "6000", ["status_known"], "5.00", "EUR", released=True)
    if state != "running":
        runs.finish_run(run_id, state)
    return run


def hold(
    ledger: Database,
    run_id: str,
    key: str,
    rules: Sequence[str],
    amount: str,
    currency: str | None,
    *,
    released: bool = False,
) -> None:
    """An order in quarantine since the run's publication, or one from before that the run released."""
    with ledger.connect("loader") as connection:
        connection.execute(
            """
            insert into audit.quarantine (source, row_key, rules, row_values, amount, currency, quarantined_by,
                quarantined_at, outcome, resolved_by, resolved_at)
            select 'orders', %(key)s, %(rules)s, %(values)s::jsonb, %(amount)s, %(currency)s, %(run)s,
                published_at - case when %(released)s then interval '1 day' else interval '0' end,
                case when %(released)s then 'released' else 'open' end,
                case when %(released)s then %(run)s end, case when %(released)s then published_at end
            from audit.publications where run_id = %(run)s
            """,
            {
                "key": key,
                "rules": list(rules),
                "values": json.dumps(ORDER | {"order_id": int(key)}),
                "amount": Decimal(amount),
                "currency": currency,
                "run": run_id,
                "released": released,
            },
        )


def _outcomes(source: str, broken: dict[str, int]) -> list[Outcome]:
    rules = SOURCES[source].all_rules
    assert set(broken) <= {rule.name for rule in rules}
    return [
        Outcome(rule, 1000, broken.get(rule.name, 0), ["7001", "7002"][: broken.get(rule.name, 0)]) for rule in rules
    ]


@pytest.fixture(scope="module")
def airflow(warehouse: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A visitor of Airflow who has not logged in."""
    home = tmp_path_factory.mktemp("airflow")
    with_exports(home)
    with airflow_of(warehouse, home) as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    """A page of a browser."""
    with blank_page() as page:
        yield page


@pytest.fixture(scope="module")
def viewer(airflow: httpx.Client) -> Iterator[httpx.Client]:
    """A program that reads what is published."""
    with logged_in(airflow, "viewer") as client:
        yield client
