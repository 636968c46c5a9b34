"""Row numbers, flags and ratios."""

from __future__ import annotations

import narwhals as nw
import pyarrow as pa

from include.contract import Column, Table, Type
from include.contract.arrow import arrow_schema
from transforms.arithmetic import flag, numbered, ratio, rounded, rounded_up
from transforms.engines import ENGINES, Frame, by_key


def _numbers(engine: str, columns: dict[str, list[int | None]]) -> list[dict[str, int]]:
    with ENGINES[engine]() as runner:
        frame = runner.frame(pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()}))
        rows = by_key(frame, ["shelf"], lambda part: numbered(part, "place", "shelf", ["height", "book"]))
        schema = pa.schema([(name, pa.int64()) for name in ("shelf", "place", "book")])
        return [row for batch in runner.batches(rows, schema, ["shelf", "place"]) for row in batch.to_pylist()]


def test_rows_are_numbered_by_height_then_by_key(engine: str) -> None:
    rows = _numbers(engine, {"shelf": [1, 1, 1, 2], "height": [5, 5, 4, 9], "book": [3, 2, 9, 1]})
    assert [(row["shelf"], row["place"], row["book"]) for row in rows] == [(1, 1, 9), (1, 2, 2), (1, 3, 3), (2, 1, 1)]


def test_a_flag_is_never_null_and_nothing_is_divided_by_zero(engine: str) -> None:
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
    with ENGINES[engine]() as runner:
        frame: Frame = runner.frame(pa.table({"number": pa.array([None, 0, 1, 2], pa.int64())}))
        rows = frame.with_columns(
            is_large=flag(nw.col("number") > 1), share=ratio(nw.col("number") * 0 + 1, nw.col("number"))
        )
        found = [row for batch in runner.batches(rows, arrow_schema(table), ["number"]) for row in batch.to_pylist()]
    assert sorted(((row["number"], row["is_large"], row["share"]) for row in found), key=str) == [
        (0, 0, None),
        (1, 0, 1.0),
        (2, 1, 0.5),
        (None, 0, None),
    ]


def test_whole_numbers_are_rounded_half_up_or_up(engine: str) -> None:
    pairs = [(0, 2), (1, 2), (2, 4), (1, 3), (2, 3), (7, 7), (5, 0), (5, None)]
    numbers = {"above": [above for above, _ in pairs], "below": [below for _, below in pairs]}
    with ENGINES[engine]() as runner:
        frame: Frame = runner.frame(pa.table({name: pa.array(values, pa.int64()) for name, values in numbers.items()}))
        rows = frame.with_columns(
            near=rounded(nw.col("above"), nw.col("below")), up=rounded_up(nw.col("above"), nw.col("below"))
        )
        schema = pa.schema([(name, pa.int64()) for name in ("above", "below", "near", "up")])
        found = [row for batch in runner.batches(rows, schema, ["above"]) for row in batch.to_pylist()]
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
