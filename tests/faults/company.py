"""Others at work: a second run of the same night, a backfill, customers who trade all the while, housekeeping."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from include.demo_shop.live import Traffic, trade
from tests.conftest import Database
from tests.faults.course import Course, finish
from tests.faults.fault import Fault, Wrong, must_equal, persist
from tests.faults.place import FIRST, Failed, Place, must_end
from tests.faults.processes import KILLED, Point, run
from tests.faults.steps import Asked, keep_house
from transforms.registry import TABLES

_BACKFILLED: Final = FIRST - timedelta(days=3)
_MOST_BEGUN: Final = 4  # times that a run which was overtaken begins again
# What two runs leave more of than one, though the tables are the same.
_OF_RUNS: Final = ("audit", "lake/raw", "lake/gone", "the watermarks")
_HOUSE: Final = ("compact", "runs", "entries", "files")


def company() -> list[Fault]:
    """Every fault of this kind."""
    return [
        Fault("company.same-night", "a second run of the same night beside it",
              "the tables are those of one run; one that is overtaken says so and begins again", _same_night),
        Fault("company.backfill", f"a backfill of {_BACKFILLED} beside it",
              "the tables are those of both runs, one after the other", _backfill),
        Fault("company.trade", "customers trade all the while, and accept and publish are killed",
              "every proof holds; the next quiet night equals a lake made anew", _trade),
        Fault("company.housekeeping-compact", "housekeeping: a table is compacted, the next is not",
              "all rows stay, and the same night once more changes nothing", _killed_in_house(
                  "compact", Point("include.lake.writes.compact", after=True))),
        Fault("company.housekeeping-files", "housekeeping: the files of one table are removed",
              "all rows stay, and the same night once more changes nothing", _killed_in_house(
                  "files", Point("include.pipeline.housekeeping._remove", after=True))),
    ]  # fmt: skip


def _same_night(course: Course) -> str:
    with course.before() as place:
        begun = _at_once(place, place.asked(), place.asked(run_id="by hand"))
        place.go(place.asked("features"))
        must_equal(course.end(), place.look(), (*_OF_RUNS, "reporting.data_status"))
        _must_have_published(place, 5)
    return f"begun {begun} times: the tables are as of one run"


def _backfill(course: Course) -> str:
    def one_after_the_other(place: Place) -> None:
        place.go(place.asked())
        place.go(place.asked(day=_BACKFILLED))

    expected = course.end(name="a night and a backfill", play=one_after_the_other)
    with course.before() as place:
        begun = _at_once(place, place.asked(), place.asked(day=_BACKFILLED))
        must_equal(expected, place.look(), (*_OF_RUNS, "reporting.data_status"))
        _must_have_published(place, 4)
    return f"begun {begun} times: the tables are as of both"


def _at_once(place: Place, *runs: Asked) -> int:
    """Go through several runs at once; how often they began together."""
    with ThreadPoolExecutor(len(runs)) as pool:
        return sum(pool.map(lambda asked: _go_on(place, asked), runs))


def _go_on(place: Place, asked: Asked) -> int:
    """Go through a run as an operator has it done: from the beginning, where it was overtaken; how often it began."""
    for begun in range(1, 1 + _MOST_BEGUN):
        for step in asked.steps:
            ended = persist(place, asked, step)
            if ended.code:
                break
        if not ended.code:
            return begun
        if not ended.error.startswith("Overtaken"):
            raise Failed(f"{asked.run_id}, {step}: {ended.error}")
    raise Failed(f"{asked.run_id} was overtaken every time")


def _must_have_published(place: Place, times: int) -> None:
    """Each run publishes once."""
    with place.warehouse.connect("loader") as ledger:
        rows = ledger.execute("select run_id, count(*) from audit.publications group by run_id order by 1").fetchall()
    if len(rows) != times or any(count != 1 for _, count in rows):
        raise Wrong(f"published were {rows}")


def _trade(course: Course) -> str:
    with course.before() as place:
        with _customers(place.shop) as traded:
            asked = place.asked(run_id="amid trade")
            place.go(asked, last="check_tolerance")
            _kill(place, asked, "accept", Point("include.lake.writes.replace", of=("quarantine", "orders")))
            place.go(asked, "accept", "audit")
            _kill(place, asked, "publish", Point("include.publish.publication._move_watermarks", after=True))
            place.go(asked, "publish")
        place.go(place.asked(run_id="quiet"))
        place.go(place.asked("features"))
        found = place.look()
        with course.anew(place) as fresh:
            finish(fresh)
            expected = fresh.look()
    # By night a fresh warehouse has only this one; what was in quarantine before it knows nothing of.
    slices = [one.table.qualified_name for one in TABLES.values() if one.table.rebuild.kind == "as_of"]
    tables = [name for name in expected if name.startswith("reporting.") and name not in slices]
    compared = [*(name for name in tables if name != "reporting.data_status"), "lake/clean/orders",
                "lake/clean/order_items", "lake/clean/inventory_movements", "lake/quarantine/orders"]  # fmt: skip
    must_equal({name: expected[name] for name in compared}, {name: found[name] for name in compared})
    if found["left in the lake"] or found["left in Postgres"]:
        raise Wrong(f"left: {found['left in the lake']} {found['left in Postgres']}")
    return f"{traded[0]:,} commands of customers; the quiet night equals a lake made anew"


@contextmanager
def _customers(shop: Database) -> Iterator[list[int]]:
    """Customers who trade until the block ends; how many commands they have given then."""
    stop, given = threading.Event(), [0]
    url = shop.url("shopkeeper")

    def go_on() -> None:
        seed = 0
        while not stop.is_set():
            seed += 1
            happened = asyncio.run(trade(url, Traffic(customers=20, per_second=200, seconds=3, seed=seed)))
            given[0] += happened.total()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield given
    finally:
        stop.set()
        thread.join()


def _kill(place: Place, asked: Asked, step: str, point: Point) -> None:
    ended = place.do(asked, step, point)
    if ended.code != KILLED:
        raise Wrong(f"{step}: nothing died there: {ended.code} {ended.error}")


def _killed_in_house(step: str, point: Point) -> Callable[[Course], str]:
    def play(course: Course) -> str:
        with course.before("features", "finish") as place:
            place.go(place.asked("features"), "finish")
            before = place.look()
            for one in _HOUSE:
                if one == step:
                    ended = run(keep_house, one, environment=place.environment, point=point)
                    if ended.code != KILLED:
                        raise Wrong(f"nothing died there: {ended.code} {ended.error}")
                must_end(run(keep_house, one, environment=place.environment), f"housekeeping, {one}")
            forgotten = ("audit", "lake/raw", "lake/gone")  # what is old is gone from there, as it should be
            must_equal(before, place.look(), forgotten)
            place.go(place.asked(run_id="once more"))
            must_equal(before, place.look(), (*_OF_RUNS, "reporting.data_status"))
        return "killed, tried again; the night once more changes nothing"

    return play
