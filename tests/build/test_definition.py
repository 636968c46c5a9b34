"""What decides a table's rows beside its inputs: its code, what it is told of the sources, the time zone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.build.definition import definition
from include.contract import Column, Dimension, Source, Type
from include.settings import settings
from include.sources import SOURCES

pytestmark = pytest.mark.usefixtures("own_lake")

ORDERS = SOURCES["orders"]


def _of(code: str = "code", source: Source = ORDERS) -> str:
    return definition(code, [source])


def test_the_same_is_the_same() -> None:
    assert _of() == _of()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(ORDERS, columns=(*ORDERS.columns, Column("odd", Type.TEXT, "Odd."))), id="a column"),
        pytest.param(replace(ORDERS, begins=None), id="when a row begins"),
        pytest.param(replace(ORDERS, later={}), id="what is known later"),
        pytest.param(ORDERS.with_dimension(Dimension("code", "discount_code", "Its code.")), id="a dimension"),
    ],
)
def test_another_declaration_of_a_source_is_another_definition(other: Source) -> None:
    assert _of(source=other) != _of()


def test_a_rule_of_a_source_decides_no_row_of_a_table() -> None:
    assert _of(source=replace(ORDERS, rules=())) == _of()


def test_other_code_and_another_time_zone_are_other_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _of()
    assert _of("other code") != before
    monkeypatch.setenv("STOCKTAKE_TIMEZONE", "Europe/Berlin")
    settings.cache_clear()
    assert _of() != before
