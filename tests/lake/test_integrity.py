"""A damaged file of the lake is named, whatever fails over it; what fails otherwise stays what it is."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import dataset

from include.contract import Column, ContractError, Type
from include.lake import duckdb_session as duck
from include.lake import merge, writes
from include.lake import tables as lake
from include.lake.integrity import blamed

pytestmark = pytest.mark.usefixtures("own_lake")


NUMBER = (Column("number", Type.INTEGER, "A number."),)


@pytest.fixture
def file() -> Path:
    """The one file of a table."""
    writes.replace("clean", "orders", pa.table({"number": range(1000)}).to_reader())
    return Path(lake.files("clean", "orders")[0])


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def garble(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


@pytest.mark.parametrize(
    ("damage", "reason"), [(Path.unlink, "is missing"), (cut, r"has [\d,]+ bytes, not [\d,]+")], ids=["missing", "cut"]
)
def test_a_file_that_is_not_as_it_was_written_is_named(file: Path, damage: Callable[[Path], None], reason: str) -> None:
    damage(file)
    with pytest.raises(lake.Damaged, match=rf"clean\.orders is damaged: {file} {reason}\. .* with full_refresh"):
        lake.files("clean", "orders")
    assert lake.columns("clean", "orders", 0) is None
    assert lake.named_files("clean", "orders") == [str(file)]


def read_with_duckdb() -> None:
    with duck.session() as session:
        session.execute(f"select sum(number) from {duck.relation(lake.files('clean', 'orders'), NUMBER)}").fetchall()


def read_with_arrow() -> None:
    dataset.dataset(lake.files("clean", "orders")).to_table()


@pytest.mark.parametrize("read", [read_with_duckdb, read_with_arrow])
def test_a_file_that_cannot_be_read_is_named_whatever_reads_it(file: Path, read: Callable[[], None]) -> None:
    garble(file)
    with pytest.raises(lake.Damaged, match=rf"clean\.orders is damaged: {file} cannot be read"), blamed():
        read()


def fail_over_orders(error: Exception) -> None:
    with blamed():
        lake.files("clean", "orders")
        raise error


@pytest.mark.parametrize("error", [ValueError("a bug"), ContractError("a broken rule"), ConnectionError("away")])
def test_what_fails_otherwise_stays_what_it_is(file: Path, error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        fail_over_orders(error)
    garble(file)
    expected = type(error) if isinstance(error, ContractError | ConnectionError) else lake.Damaged
    with pytest.raises(expected):
        fail_over_orders(error)


def test_a_table_can_be_emptied_or_written_over_without_a_look_at_it(file: Path) -> None:
    garble(file)
    writes.empty("clean", "orders")
    assert lake.files("clean", "orders") == []
    with duck.session() as session:
        one = merge.commit(session, "clean", "orders", NUMBER, ["number"], "(select 1::bigint as number)")
    garble(Path(lake.files("clean", "orders", one.version)[0]))
    with duck.session() as session:
        two = merge.commit(
            session, "clean", "orders", NUMBER, ["number"], "(select 2::bigint as number)", overwrite=True
        )
    assert (two.rows, two.changes) == (1, None)
    assert lake.changes("clean", "orders", one.version, two.version) is None


def test_a_disk_that_is_full_is_an_error_that_passes() -> None:
    """Here: no file may be longer than some bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            writes.replace("clean", "orders", pa.table({"number": range(1000)}).to_reader())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
