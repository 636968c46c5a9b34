"""A fan-out is planted in every join of every build, and what is built must change: no join's doubling goes unseen.

It is the known bug of shop reports: an order with two refunds, joined line by line, counts its money twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pytest

from tests.transforms.conftest import FIRST_DAY, Reporting, day
from tests.transforms.test_invariants import AS_OF, KITS, past
from transforms.build import build
from transforms.registry import TABLES

JOIN = nw.LazyFrame.join

# Joins whose doubled rows change nothing that is published: of the shelf's days it asks only whether one was empty; this
# shop keeps movements of stock, so none of its shelves is counted; and of what is a kit, of
# the places of one and of what is the least, it asks only which there are.
HARMLESS = {
    ("demand_labels", 0), ("demand_labels", 1), ("product_demand", 1), ("inventory_risk", 1),
    *(("inventory_health", place) for place in range(1, 5)),
    ("component_demand_daily", 5), *(("kit_availability", place) for place in (5, 7, 10)),
}  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Reporting:
    """The tables as they should be, of a shop with kits."""
    return Reporting(past("cup").rows | {"kit_components": KITS}, AS_OF, "pandas", tmp_path_factory.mktemp("sound"), {})


@contextmanager
def doubling(place: int | None) -> Iterator[list[str]]:
    """Have every row on the right of one join twice; gives the joins that were made."""
    made: list[str] = []

    def join(left: Any, right: Any, *arguments: Any, **named: Any) -> Any:
        made.append(str(named))
        return JOIN(left, nw.concat([right, right]) if len(made) - 1 == place else right, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nw.LazyFrame, "join", join)
        yield made


def _built(sound: Reporting, name: str, into: Path) -> pa.Table:
    again = Reporting({}, AS_OF, "pandas", into, {})
    again._built[name] = build(
        name, sound.files(name), sound.sources,
        as_of=day(AS_OF), first_day=lambda: day(FIRST_DAY), engine="pandas", into=into,
    )  # fmt: skip
    return again.arrow(name)


@pytest.mark.parametrize("name", TABLES)
def test_a_doubled_row_on_the_right_of_any_join_is_seen(sound: Reporting, name: str, tmp_path: Path) -> None:
    expected = sound.arrow(name)
    with doubling(None) as joins:
        assert _built(sound, name, tmp_path / "sound").equals(expected)
    unseen = []
    for place in range(len(joins)):
        with doubling(place):
            if _built(sound, name, tmp_path / str(place)).equals(expected):
                unseen.append((name, place))
    assert set(unseen) == {(table, place) for table, place in HARMLESS if table == name}
