"""Two copies of a table: equal whatever wrote them, different in one bit, and where."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from include.build.digest import digest_of, first_difference
from include.contract import Column, Table, Type
from include.contract.arrow import arrow_schema

pytestmark = pytest.mark.usefixtures("own_lake")


BOOKS = Table(
    "reporting",
    "books",
    "One row per book.",
    (
        Column("book_id", Type.INTEGER, "It."),
        Column("title", Type.TEXT, "Its title.", nullable=True),
        Column("author", Type.TEXT, "Who wrote it.", nullable=True),
        Column("price", Type.CENTS, "Its price.", nullable=True),
        Column("rating", Type.RATIO, "Stars.", nullable=True),
        Column("printed_at", Type.AT, "When.", nullable=True),
    ),
    ("book_id",),
)
ROW: dict[str, Any] = {
    "book_id": 1, "title": "a|b", "author": None, "price_cents": 100, "rating": 0.1 + 0.2,
    "printed_at": datetime(2026, 1, 1, tzinfo=UTC),
}  # fmt: skip


def _file(path: Path, *rows: dict[str, Any]) -> Path:
    parquet.write_table(pa.Table.from_pylist(list(rows), arrow_schema(BOOKS)), path)
    return path


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    return _file(tmp_path / "shelf.parquet", ROW, ROW | {"book_id": 2})


def test_order_and_files_do_not_matter(shelf: Path, tmp_path: Path) -> None:
    apart = [_file(tmp_path / "2.parquet", ROW | {"book_id": 2}), _file(tmp_path / "1.parquet", ROW)]
    assert digest_of(apart, BOOKS) == digest_of([shelf], BOOKS) != digest_of([], BOOKS)
    assert digest_of([shelf], BOOKS).startswith("2:")
    assert first_difference([shelf], apart, BOOKS) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rating": 0.3}, "rating of book_id 2 is 0.30000000000000004 in pandas, 0.3 in spark"),
        ({"title": None}, "title of book_id 2 is 'a|b' in pandas, None in spark"),
        ({"title": "a", "author": "b"}, "title of book_id 2 is 'a|b' in pandas, 'a' in spark"),
        ({"author": ""}, "author of book_id 2 is None in pandas, '' in spark"),
        ({"price_cents": 101}, "price_cents of book_id 2 is 100 in pandas, 101 in spark"),
        ({"book_id": 3}, "the row with book_id 2 is in pandas, not in spark"),
        ({"book_id": 0}, "the row with book_id 0 is in spark, not in pandas"),
    ],
)
def test_one_value_makes_another_digest_and_is_named(
    shelf: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    other = _file(tmp_path / "other.parquet", ROW, ROW | {"book_id": 2} | change)
    assert digest_of([other], BOOKS) != digest_of([shelf], BOOKS)
    assert first_difference([shelf], [other], BOOKS, ("pandas", "spark")) == f"reporting.books: {said}"


def test_a_lacking_last_row_is_named(shelf: Path, tmp_path: Path) -> None:
    other = _file(tmp_path / "other.parquet", ROW)
    said = "reporting.books: the row with book_id 2 is in left, not in right"
    assert first_difference([shelf], [other], BOOKS) == said
