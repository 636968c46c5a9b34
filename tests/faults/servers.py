"""Servers that go away: the shop or the warehouse is down when a step begins, or goes in the middle of it.

Down is a port at which nobody listens. Going away is a wire (``tests.kills``) that breaks at a statement.
"""

from __future__ import annotations

import socket
from typing import Final

from psycopg.conninfo import make_conninfo

from tests.faults.course import Course, finish
from tests.faults.fault import Fault, Wrong, must_equal, must_fail
from tests.faults.place import Place, must_end
from tests.kills.wire import Place as At
from tests.kills.wire import Statement, wire

_VARIABLES: Final = {"shop": "STOCKTAKE_SHOP_URL", "warehouse": "STOCKTAKE_WAREHOUSE_URL"}

# Server, DAG, step, where, and how the statement begins, or what it holds, at which it goes.
_GOES: Final = (
    ("shop", "nightly", "extract", "while orders are read", "from orders\n"),
    ("shop", "nightly", "extract", "while fingerprints are added up", "hash_record_extended"),
    ("shop", "nightly", "extract", "while a checksum is computed", "substr(md5("),
    ("warehouse", "nightly", "accept", "when the lake is changed and the ledger is told", "update audit.source_counts"),
    ("warehouse", "nightly", "build order_lines", "when the table is committed and the ledger is told",
     "insert into audit.builds"),
    ("warehouse", "nightly", "publish", "while rows are loaded", "COPY "),
    ("warehouse", "nightly", "publish", "while live rows are replaced", "insert into reporting.orders"),
    ("warehouse", "nightly", "publish", "at the commit", "COMMIT"),
    ("warehouse", "features", "publish", "while live rows are replaced", "insert into features.customer_activity"),
)  # fmt: skip
_DOWN: Final = (
    ("shop", "nightly", "extract"), ("warehouse", "nightly", "begin"), ("warehouse", "nightly", "extract"),
    ("warehouse", "nightly", "accept"), ("warehouse", "nightly", "publish"), ("warehouse", "features", "publish"),
)  # fmt: skip


def servers() -> list[Fault]:
    """Every fault of this kind."""
    return [_down(*one) for one in _DOWN] + [_goes(number, *one) for number, one in enumerate(_GOES, 1)]


def _task(dag: str, step: str) -> str:
    return step if dag == "nightly" else f"{dag} {step}"


def _down(server: str, dag: str, step: str) -> Fault:
    task = _task(dag, step)

    def play(course: Course) -> str:
        with course.before(dag, step) as place, socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            taken.close()  # nobody listens there any more
            url = make_conninfo(_url(place, server), port=str(port))
            ended = place.do(place.asked(dag), step, others={_VARIABLES[server]: url})
            said = must_fail(ended, "ConnectionError", passing=True)
            finish(place, dag, step)
            must_equal(course.end(), place.look())
        return f"{short(said)}; tried again: as undisturbed"

    return Fault(
        f"{task.replace(' ', '-')}.{server}-down", f"{task}: the {server} is down when it begins",
        "an error that is tried again; the retry ends as if nothing had happened", play,
    )  # fmt: skip


def _goes(number: int, server: str, dag: str, step: str, where: str, text: str) -> Fault:
    task = _task(dag, step)

    def play(course: Course) -> str:
        with course.before(dag, step) as place, wire(_url(place, server)) as line:
            must_end(place.do(place.asked(dag), step, others={_VARIABLES[server]: line.url}), step)
            at = _place_of(line.statements, text)
        with course.before(dag, step) as place:
            with wire(_url(place, server), at) as line:
                ended = place.do(place.asked(dag), step, others={_VARIABLES[server]: line.url})
            said = must_fail(ended, passing=True)
            finish(place, dag, step)
            must_equal(course.end(), place.look())
        return f"{short(said)}; tried again: as undisturbed"

    return Fault(
        f"{task.replace(' ', '-')}.{server}-goes-{number}", f"{task}: the {server} goes away {where}",
        "an error that is tried again; the retry ends as if nothing had happened", play,
    )  # fmt: skip


def _place_of(statements: list[Statement], text: str) -> At:
    """Before the first statement that holds a text; of a commit, the one after the watermarks have moved."""
    after = 0
    if text == "COMMIT":
        after = max(number for number, one in enumerate(statements) if "audit.watermarks" in one.text)
    found = [number for number, one in enumerate(statements, 1) if text in one.text and number > after]
    if not found:
        raise Wrong(f"no statement holds {text!r}")
    return At(found[0], after=False)


def _url(place: Place, server: str) -> str:
    return place.environment[_VARIABLES[server]]


def short(said: str) -> str:
    """The beginning of what was said: enough to know it by."""
    said = " ".join(said.split())
    return said if len(said) <= 90 else f"{said[:89]}…"
