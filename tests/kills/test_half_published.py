"""Half-published is impossible: the loader or its backend dies at every statement that it sends, while readers look on.

Without ``--every-statement`` (``make kills``) they die at some, and always at the commit of the publication.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from include.contract import Column, Rebuild, Table, Type
from include.ledger.migrations import prepare
from include.local.embedded_postgres import SUPERUSER, Cluster
from include.pipeline import republish
from include.settings import settings
from tests.conftest import Database
from tests.handmade import Ready, night, sources_in
from tests.kills.loader import PASSES, TRIED_AGAIN, loader
from tests.kills.readers import Seen, look, readers
from tests.kills.wire import Place, Statement, wire

FIRST, SECOND = date(2026, 11, 20), date(2026, 11, 21)
LOG = logging.getLogger(__name__)
Given = TypeVar("Given")

TILL = Table(
    "reporting", "till", "One row per business day.",
    (Column("day", Type.DAY, "The day."), Column("amount", Type.CENTS, "Sum of its receipts.")),
    primary_key=("day",), rebuild=Rebuild.by("day"),
)  # fmt: skip
RECEIPTS = Table(
    "reporting", "receipts", "One row per receipt.",
    (Column("receipt_id", Type.INTEGER, "The receipt."), Column("amount", Type.CENTS, "What it comes to.")),
    primary_key=("receipt_id",),
)  # fmt: skip

# Every move of a watermark that was committed.
MOVES = """
create table audit.moves (source text);
create function audit.note_move() returns trigger language plpgsql as
    $$ begin insert into audit.moves values (new.source); return null; end $$;
create trigger note_move after insert or update on audit.watermarks for each row execute function audit.note_move()
"""

ROUNDS = [
    ("nightly", "process", True),
    ("nightly", "backend", False),
    ("nightly", "process", False),
    ("nightly", "backend", True),
    ("republish", "process", True),
    ("republish", "backend", False),
    # A backend that is killed takes all others with it, and Postgres recovers: some seconds each.
    ("nightly", "crash", False),
    ("nightly", "crash", True),
]


@dataclass(frozen=True)
class Prepared:
    """A publication that waits to be made, and what comes of it when nothing dies.

    Attributes:
        run_id: its run.
        step: what publishes.
        before: the warehouse before it.
        lake: where its lake is.
        statements: all that it sends.
        old: what readers have before it.
        new: what they have after it.
        moves: how often it moves the watermark of each source.
    """

    run_id: str
    step: Callable[[], object]
    before: Database
    lake: Path
    statements: Sequence[Statement]
    old: Seen
    new: Seen
    moves: Mapping[str, int]

    @property
    def commit(self) -> int:
        """The number of the statement that makes it public."""
        enters = next(n for n, sent in enumerate(self.statements) if "insert into audit.publications " in sent.text)
        session = self.statements[enters].session
        return next(
            n for n, sent in enumerate(self.statements, 1) if n > enters and sent == Statement(session, "COMMIT")
        )

    def places(self, step: int, first: int) -> list[int]:
        """Every so manieth statement, and always the commit."""
        numbers = range(1, len(self.statements) + 1)
        return [number for number in numbers if number == self.commit or number % step == first % step]


def environment(warehouse: Database, lake: Path) -> dict[str, str]:
    """Where the publication's parts are."""
    return {
        "STOCKTAKE_SOURCES": str(sources_in(lake.parent)),
        "STOCKTAKE_SHOP_URL": warehouse.url("extractor"),
        "STOCKTAKE_WAREHOUSE_URL": warehouse.url("loader"),
        "STOCKTAKE_TIMEZONE": "UTC",
        "STOCKTAKE_LAKE": str(lake),
    }


@contextmanager
def working_in(warehouse: Database, lake: Path) -> Iterator[None]:
    """This process publishes there."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(warehouse, lake).items():
            patch.setenv(name, value)
        settings.cache_clear()
        yield
    settings.cache_clear()


@contextmanager
def copied(database: Database) -> Iterator[Database]:
    """A copy, for as long as the block takes."""
    copy = database.copy()
    try:
        yield copy
    finally:
        patiently(copy.drop)


@pytest.fixture(scope="module")
def prepared(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Prepared]]:
    """By DAG: a published night and the one after it, which changes a day of the first; or the first, put back."""
    with copied(Database(cluster, "warehouse")) as before, copied(Database(cluster, "warehouse")) as after:
        lakes = {name: tmp_path_factory.mktemp(name) / "lake" for name in ("nightly", "republish")}

        @cache
        def prepare_dag(dag: str) -> Prepared:
            warehouse, lake = {"nightly": before, "republish": after}[dag], lakes[dag]
            with working_in(warehouse, lake):
                ready = _two_nights()
                if dag == "nightly":
                    return _undisturbed(ready.run.run_id, ready.publish, warehouse, lake)
                ready.publish()
                run = republish.begin("put back", {"night": FIRST.isoformat()})
                return _undisturbed(
                    run.run_id, partial(republish.publish, run.run_id, [TILL, RECEIPTS]), warehouse, lake
                )

        yield prepare_dag


def _two_nights() -> Ready:
    """A night that is published, and one that is ready to be."""
    prepare()
    day = FIRST - timedelta(days=1)
    orders: list[dict[str, Any]] = [{"order_id": 1, "currency": "EUR", "ordered_on": day}]
    receipts = [{"receipt_id": number, "amount_cents": 100} for number in range(1, 4)]
    till = [{"day": day, "amount_cents": 100}, {"day": FIRST, "amount_cents": 200}]
    night(FIRST, {"orders": orders}, [(TILL, till), (RECEIPTS, receipts)]).publish()
    orders[0] |= {"subtotal_cents": 50}
    receipts = [{"receipt_id": 1, "amount_cents": 150}, *receipts[1:], {"receipt_id": 4, "amount_cents": 30}]
    till = [{"day": day, "amount_cents": 150}, *till[1:], {"day": SECOND, "amount_cents": 30}]
    return night(SECOND, {"orders": orders}, [(TILL, till), (RECEIPTS, receipts)])


def _undisturbed(run_id: str, step: Callable[[], object], warehouse: Database, lake: Path) -> Prepared:
    """Publish in a copy in which nothing dies."""
    with warehouse.connect("loader") as ledger:
        ledger.execute(MOVES)
    old = look(warehouse)
    with copied(warehouse) as copy, wire(copy.url("loader")) as line:
        assert _finished(step, copy, lake, line.url) == 0
        new, moves = look(copy), moved(copy)
    assert old != new
    return Prepared(run_id, step, warehouse, lake, line.statements, old, new, moves)


def _finished(step: Callable[[], object], warehouse: Database, lake: Path, url: str) -> int | None:
    """Have a loader publish over a wire; how it ended."""
    process = loader(step, environment(warehouse, lake) | {"STOCKTAKE_WAREHOUSE_URL": url})
    process.start()
    process.join(120)
    return process.exitcode


def moved(database: Database) -> dict[str, int]:
    """How often the watermark of each source was moved."""
    with database.connect("loader") as ledger:
        return dict(ledger.execute("select source, count(*) from audit.moves group by source").fetchall())


@pytest.mark.parametrize(
    "chosen", ROUNDS, ids=[f"{dag}-{how}-{'after' if after else 'before'}" for dag, how, after in ROUNDS]
)
def test_whatever_dies_at_whichever_statement_readers_have_one_publication_or_the_other(
    prepared: Callable[[str], Prepared], request: pytest.FixtureRequest, chosen: tuple[str, str, bool]
) -> None:
    dag, how, after = chosen
    publication = prepared(dag)
    every = 10 if how == "crash" else 1
    if not request.config.getoption("--every-statement"):
        every = 75
    places, seen, start = publication.places(every, 13 * ROUNDS.index(chosen)), Counter[Seen](), time.monotonic()
    for number in places:
        seen += _die(publication, Place(number, after), how)
    assert set(seen) == {publication.old, publication.new}
    LOG.info(
        "%d of %d statements, as many kills and retries; %d reads saw the old, %d the new; %.0f s",
        len(places), len(publication.statements), seen[publication.old], seen[publication.new],
        time.monotonic() - start,
    )  # fmt: skip


def _die(publication: Prepared, place: Place, how: str) -> Counter[Seen]:
    """Have a loader die and publish again; what was seen meanwhile."""
    what = publication.statements[place.number - 1]
    with copied(publication.before) as warehouse:

        def strike(backend: int) -> None:
            if how == "process":
                process.kill()
            elif how == "crash":
                os.kill(backend, signal.SIGKILL)
            else:
                with warehouse.connect(SUPERUSER) as superuser:
                    superuser.execute("select pg_terminate_backend(%s, 10000)", [backend])

        with readers(warehouse) as seen, wire(warehouse.url("loader"), place, strike) as line:
            process = loader(
                publication.step,
                environment(warehouse, publication.lake) | {"STOCKTAKE_WAREHOUSE_URL": line.url},
            )
            process.start()
            process.join(120)
            died = patiently(lambda: look(warehouse))
            with working_in(warehouse, publication.lake):
                patiently(publication.step)
        code = process.exitcode
        # DuckDB notices a dead connection by itself, where none of its statements was on the way.
        assert code in ({-signal.SIGKILL} if how == "process" else {0, TRIED_AGAIN}), (place, what, code)
        is_over = code == 0 or (place.number, place.after) >= (publication.commit, True)
        assert died == (publication.new if is_over else publication.old), (place, what)
        assert set(seen) <= {publication.old, publication.new}, (place, what)
        assert look(warehouse) == publication.new, (place, what)
        assert moved(warehouse) == publication.moves, (place, what)
        with warehouse.connect("loader") as ledger:
            left = ledger.execute("select tablename from pg_tables where schemaname = 'staging'").fetchall()
            entered = ledger.execute(
                "select count(*) from audit.publications where run_id = %s", [publication.run_id]
            ).fetchall()
    assert (left, entered) == ([], [(1,)]), (place, what)
    return seen


def patiently(ask: Callable[[], Given]) -> Given:
    """Ask again while Postgres starts again, as a task does, though for half a minute only."""
    for _ in range(150):
        try:
            return ask()
        except PASSES:
            time.sleep(0.2)
    return ask()
