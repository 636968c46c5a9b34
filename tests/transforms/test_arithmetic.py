"""Row numbers, flags and ratios."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import narwhals as nw
import pyarrow as pa
import pytest

from include.contract import Column, Table, Type
from include.contract.arrow import arrow_schema
from tests.transforms.conftest import written
from transforms.arithmetic import flag, numbered, quotient, ratio, relative_variance, rounded, rounded_up, with_worth
from transforms.engines import Engine, Frame, by_key


def _numbers(columns: dict[str, list[int | None]]) -> pa.Table:
    return pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()})


def _whole(*names: str) -> pa.Schema:
    return pa.schema([(name, pa.int64()) for name in names])


def test_rows_are_numbered_by_height_then_by_key(engine: str, tmp_path: Path) -> None:
    books = _numbers({"shelf": [1, 1, 1, 2], "height": [5, 5, 4, 9], "book": [3, 2, 9, 1]})

    def number(runner: Engine) -> Frame:
        return by_key(runner.frame(books), ["shelf"], lambda part: numbered(part, "place", "shelf", ["height", "book"]))

    rows = written(engine, number, _whole("shelf", "place", "book"), ["shelf", "place"], tmp_path)
    assert [(row["shelf"], row["place"], row["book"]) for row in rows] == [(1, 1, 9), (1, 2, 2), (1, 3, 3), (2, 1, 1)]


def test_a_flag_is_never_null_and_nothing_is_divided_by_zero(engine: str, tmp_path: Path) -> None:
    table = Table(
        "reporting",
        "halves",
        "One row per number.",
        (
            Column("number", Type.INTEGER, "It."),
            Column("is_large", Type.INTEGER, "Whether it is more than 1; 1 or 0."),
            Column("share", Type.RATIO, "1 / it.", nullable=True),
        ),
        ("number",),
    )
    measures = {"is_large": flag(nw.col("number") > 1), "share": ratio(nw.col("number") * 0 + 1, nw.col("number"))}
    found = written(
        engine,
        lambda runner: runner.frame(_numbers({"number": [None, 0, 1, 2]})).with_columns(**measures),
        arrow_schema(table),
        ["number"],
        tmp_path,
    )
    assert sorted(((row["number"], row["is_large"], row["share"]) for row in found), key=str) == [
        (0, 0, None),
        (1, 0, 1.0),
        (2, 1, 0.5),
        (None, 0, None),
    ]


def test_whole_numbers_are_rounded_half_up_or_up(engine: str, tmp_path: Path) -> None:
    pairs = [(0, 2), (1, 2), (2, 4), (1, 3), (2, 3), (7, 7), (5, 0), (5, None)]
    numbers: dict[str, list[int | None]] = {
        "above": [above for above, _ in pairs],
        "below": [below for _, below in pairs],
    }
    above, below = nw.col("above"), nw.col("below")
    found = written(
        engine,
        lambda runner: runner.frame(_numbers(numbers)).with_columns(
            near=rounded(above, below), up=rounded_up(above, below)
        ),
        _whole("above", "below", "near", "up"),
        ["above"],
        tmp_path,
    )
    assert {(row["above"], row["below"]): (row["near"], row["up"]) for row in found} == {
        (0, 2): (0, 0),
        (1, 2): (1, 1),
        (2, 4): (1, 1),
        (1, 3): (0, 1),
        (2, 3): (1, 1),
        (7, 7): (1, 1),
        (5, 0): (None, None),
        (5, None): (None, None),
    }


def test_quotients_of_large_whole_numbers_are_exact(engine: str, tmp_path: Path) -> None:
    """As floats, 3 · (2⁵³ + 1) − 1 divided by 3 is 2⁵³ + 1 or 2⁵³; cut down, it is 2⁵³."""
    dice = random.Random("large")  # noqa: S311 - the same numbers every time
    pairs = [(below * dice.randint(1, 2**22) + dice.choice([-1, 0, 1]), below) for below in
             (dice.randint(2**30, 2**40) for _ in range(2_000))]  # fmt: skip
    rows = written(
        engine,
        lambda runner: runner.frame(
            _numbers({"above": [above for above, _ in pairs], "below": [below for _, below in pairs]})
        ).with_columns(whole=quotient(nw.col("above"), nw.col("below"))),
        _whole("above", "below", "whole"),
        ["above"],
        tmp_path,
    )
    assert [row for row in rows if row["whole"] != row["above"] // row["below"]] == []
    assert len(rows) == len(pairs)


def test_what_a_part_of_a_unit_comes_to_is_rounded_once_half_up(engine: str, tmp_path: Path) -> None:
    """333 g at 9.99; half a cent up, below nothing too; a million kilograms at 30 million each; no known price."""
    drawn: dict[str, list[int | None]] = {
        "quantity": [333, 500, -500, 499, 0, 1_000_000_001, -2_001, 7],
        "cents": [999, 1, 1, 1, 999, 3_000_000_000, 300, None],
    }

    def multiply(runner: Engine) -> Frame:
        found = runner.frame(_numbers({"number": list(range(8)), **drawn}))
        return with_worth(with_worth(found, 1000, weighed=("quantity", "cents")), 1, counted=("number", "cents"))

    rows = written(engine, multiply, _whole("number", "weighed", "counted"), ["number"], tmp_path)
    assert [row["weighed"] for row in rows] == [333, 1, -1, 0, 0, 3_000_000_003_000_000, -600, None]
    assert [row["counted"] for row in rows] == [0, 1, 2, 3, 3996, 15_000_000_000, 1800, None]


def test_a_variance_of_thousandths_fits(engine: str, tmp_path: Path) -> None:
    """Weeks of hundreds of tons, in grams: n times the sum of their squares does not fit an int64."""
    weeks = [[3, 3, 3], [1, 2], [5], [], [10**8 * (number % 7) for number in range(52)], [10**9, 10**9 + 1]]
    sums = {
        "number": list(range(len(weeks))),
        "n": [len(one) for one in weeks],
        "x": [sum(one) for one in weeks],
        "xx": [sum(value * value for value in one) for one in weeks],
    }
    schema = pa.schema([("number", pa.int64()), ("variance", pa.float64())])

    def measure(runner: Engine) -> Frame:
        return runner.frame(_numbers({name: list(column) for name, column in sums.items()})).with_columns(
            variance=relative_variance(nw.col("n"), nw.col("x"), nw.col("xx"))
        )

    found = [row["variance"] for row in written(engine, measure, schema, ["number"], tmp_path)]
    expected = [
        Fraction(n * (n * xx - x * x), (n - 1) * x * x) if n > 1 else None
        for n, x, xx in zip(sums["n"], sums["x"], sums["xx"], strict=True)
    ]
    assert found == [None if one is None else pytest.approx(float(one), rel=1e-14, abs=0.0) for one in expected]
