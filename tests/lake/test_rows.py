"""Amounts of a table that was written with fewer decimals: read as what they are, and never twice as many."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.contract import Column, ContractError, Type
from include.lake import duckdb_session as duck
from include.lake import merge
from include.lake import tables as lake
from include.lake.rows import rows

pytestmark = pytest.mark.usefixtures("own_lake")

_DAY, _TWO = Column("day", Type.INTEGER, "The slice."), Column("amount", Type.CENTS, "An amount.")
_THREE, _NEW = replace(_TWO, decimals=3), Column("more", Type.INTEGER, "New.", nullable=True)


def commit(day: int, amount: int | None, *columns: Column) -> None:
    """Commit a slice of one row, or of none."""
    with duck.session() as session:
        values = {"day": f"{day}::bigint", "amount_cents": f"{amount or 0}::bigint", "more": "1::bigint"}
        row = ", ".join(f"{values[column.lake_name]} as {column.lake_name}" for column in columns)
        where = "true" if amount is not None else "false"
        made = f"(select {row} where {where})"
        merge.commit_slice(session, "reporting", "things", columns, ["day"], made, ("day", day))


def held(*columns: Column, version: int | None = None) -> list[tuple[int, ...]]:
    """The rows in these columns."""
    with duck.session() as session:
        found = rows("reporting", "things", columns, version)
        return session.execute(f"select * from {found} order by 1").fetchall()


def test_a_slice_that_is_written_with_more_decimals_takes_the_others_along() -> None:
    commit(1, 1234, _DAY, _TWO)
    assert held(_DAY, _THREE) == [(1, 12_340)]
    commit(2, 5_678, _DAY, _THREE)
    assert held(_DAY, _THREE) == [(1, 12_340), (2, 5_678)]
    assert held(_DAY, _THREE, version=0) == [(1, 12_340)]
    commit(1, 4_321, _DAY, _THREE)
    assert held(_DAY, _THREE) == [(1, 4_321), (2, 5_678)]
    with pytest.raises(ContractError, match="amount has 3 decimals in the lake, and 2 are asked for"):
        held(_DAY, _TWO)


def test_a_table_without_a_row_gets_the_columns_and_decimals_of_its_first_slice() -> None:
    """A shop that is younger than the window of its labels has a table of slices without a row."""
    commit(1, None, _DAY, _TWO)
    commit(2, 12_340, _DAY, _THREE)
    assert held(_DAY, _THREE) == [(2, 12_340)]
    commit(2, None, _DAY, _THREE)
    commit(3, 1_000, _DAY, _THREE, _NEW)
    assert held(_DAY, _THREE, _NEW) == [(3, 1_000, 1)]
    assert lake.version("reporting", "things") == 3
