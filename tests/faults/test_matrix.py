"""A few rounds of the crash matrix, and that a round can go wrong; ``make faults`` plays all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from include.ledger import copies
from include.local.embedded_postgres import Cluster
from tests.faults.course import Course
from tests.faults.matrix import GREEN, RED, chosen, faults, play, told
from tests.faults.place import Place, prepared
from tests.nights import SOME
from tests.object_server import ObjectServer


@pytest.fixture(scope="module")
def course(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    """An undisturbed night of a few tables, for rounds to begin in."""
    names = tuple(name for name in SOME if name not in ("customers", "inventory_daily"))
    with prepared(cluster, tmp_path_factory.mktemp("prepared") / "night", names) as place:
        course = Course(place, tmp_path_factory.mktemp("course"))
        yield course
        course.close()


@pytest.fixture(scope="module")
def course_in_bucket(
    course: Course, object_server: ObjectServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Course]:
    """The same, in which every round has its lake in a bucket."""
    moved = Course(replace(course.start, server=object_server), tmp_path_factory.mktemp("moved"))
    yield moved
    moved.close()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("accept.between-layers", marks=pytest.mark.long),
        pytest.param("accept.rows-proven", marks=pytest.mark.long),
        pytest.param("build-order_lines.file", marks=pytest.mark.long),
        pytest.param("publish.half-replaced", marks=pytest.mark.long),
        pytest.param("approval-check_tolerance.asked", marks=pytest.mark.long),
        pytest.param("republish-publish.half-replaced", marks=pytest.mark.long),
    ],
)
def test_a_run_that_is_killed_and_tried_again_ends_as_an_undisturbed_one(course: Course, name: str) -> None:
    [fault] = chosen([name], faults())
    outcome = play(fault, course)
    assert outcome.verdict == GREEN, outcome.happened


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["extract.five-sources", "accept.between-layers", "build-order_lines.built", "publish.half-replaced"]
)
def test_so_it_does_where_the_lake_lies_in_a_bucket(course_in_bucket: Course, name: str) -> None:
    [fault] = chosen([name], faults())
    outcome = play(fault, course_in_bucket)
    assert outcome.verdict == GREEN, outcome.happened


def _forgets_where_it_began() -> None:
    setattr(copies, "accepting_from", lambda _: None)  # noqa: B010 - a defect that is planted


class _Broken(Course):
    """The same course, of a product that forgets with which versions an acceptance began."""

    def __init__(self, course: Course) -> None:
        self._course = course

    @contextmanager
    def before(self, dag: str = "nightly", step: str | None = None) -> Iterator[Place]:
        with self._course.before(dag, step) as place:
            yield replace(place, prepare=_forgets_where_it_began)

    def __getattr__(self, name: str) -> object:
        return getattr(self._course, name)


@pytest.mark.long
def test_a_planted_defect_turns_its_round_red(course: Course) -> None:
    [fault] = chosen(["accept.recorded"], faults())
    outcome = play(fault, _Broken(course))
    assert outcome.verdict == RED
    assert outcome.happened.startswith("audit.source_counts: ")
    assert told([outcome]).endswith("0 green, 1 RED, 0 skipped")


def test_a_fault_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(ValueError, match=r"there is no fault extract\.nothing; there are begin"):
        chosen(["extract.nothing"], faults())
