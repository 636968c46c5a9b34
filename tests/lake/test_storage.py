"""Storage does the same in folders and in an object store, and says what is wrong with one."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake.exceptions import CommitFailedError
from pyarrow import parquet
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from include.contract import ContractError
from include.lake import duckdb_session as duck
from include.lake import storage, tables, writes
from include.lake.object_store import UnusableStorage
from include.lake.opened import RUN
from include.settings import settings
from tests.object_server import SECRET, ObjectServer


@pytest.fixture(params=["folder", "bucket"])
def lake(request: pytest.FixtureRequest) -> str:
    """A lake in a folder, and in a bucket."""
    request.getfixturevalue("own_lake" if request.param == "folder" else "bucket")
    return settings().lake


def test_what_was_written_is_found_listed_read_and_removed(lake: str) -> None:
    for name in ("a/one.json", "a/two.json", "a/_run=x~3a~y/three.json"):
        storage.write(storage.in_lake(name), name.encode())
    folder = storage.in_lake("a")
    assert [file.name for file in storage.files(folder)] == ["one.json", "two.json"]
    assert [file.path for file in storage.files(folder, deep=True)] == [
        f"{lake}/a/_run=x~3a~y/three.json", f"{lake}/a/one.json", f"{lake}/a/two.json",
    ]  # fmt: skip
    assert storage.folders(folder) == ["_run=x~3a~y"]
    assert storage.folders(storage.in_lake()) == ["a"]
    one, nothing, two = storage.find_all([f"{folder}/one.json", f"{folder}/none.json", f"{folder}/two.json"])
    assert nothing is None
    assert one is not None
    assert two is not None
    assert (one.path, one.bytes, two.mark == one.mark) == (f"{folder}/one.json", 10, False)
    assert timedelta(0) <= datetime.now(UTC) - one.written_at < timedelta(minutes=1)
    assert storage.read(one.path) == b"a/one.json"
    assert b"".join(storage.pieces(two.path)) == b"a/two.json"
    storage.remove([one.path, f"{folder}/none.json"])
    assert not storage.exists(one.path)
    storage.remove([f"{folder}/_run=x~3a~y/three.json"])
    assert [file.name for file in storage.files(folder, deep=True)] == ["two.json"]
    storage.remove_folder(folder)
    assert storage.files(folder, deep=True) == []


def test_what_is_not_there_is_not_listed_and_not_read(lake: str) -> None:
    assert storage.files(f"{lake}/nothing") == storage.files(f"{lake}/nothing", deep=True) == []
    assert storage.folders(f"{lake}/nothing") == []
    storage.write(f"{lake}/folder/file", b"")
    assert storage.find(f"{lake}/folder") is None
    for read in (storage.read, storage.pieces):
        with pytest.raises(FileNotFoundError):
            read(f"{lake}/nothing")
    storage.remove_folder(f"{lake}/nothing")
    storage.remove_empty([f"{lake}/nothing"])


def test_a_file_is_there_whole_or_not_at_all(lake: str) -> None:
    storage.write(f"{lake}/file", b"before")
    before = storage.find(f"{lake}/file")
    with pytest.raises(RuntimeError), storage.written(f"{lake}/file") as sink:  # noqa: PT012 - half is written before
        sink.write(b"half")
        raise RuntimeError
    assert storage.read(f"{lake}/file") == b"before"
    assert [file.name for file in storage.files(lake)] == ["file"]
    storage.write(f"{lake}/file", b"behind")
    after = storage.find(f"{lake}/file")
    assert before is not None
    assert after is not None
    assert before.mark != after.mark


def test_a_folder_is_as_old_as_the_youngest_file_below_it(lake: str) -> None:
    storage.write(f"{lake}/old/below/file", b"rows")
    if not storage.is_url(lake):
        for folder in (f"{lake}/old/below", f"{lake}/old"):
            os.utime(folder, (0, 0))
    assert storage.is_older(f"{lake}/old", datetime.now(UTC) + timedelta(seconds=2))
    assert not storage.is_older(f"{lake}/old", datetime.now(UTC) - timedelta(hours=1))


def test_duckdb_and_arrow_read_what_duckdb_wrote(lake: str) -> None:
    file = f"{lake}/rows.parquet"
    with duck.session() as connection:
        duck.copy(connection, "select unnest(range(100000)) as number", file)
        assert connection.execute(f"select count(*), sum(number) from read_parquet('{file}')").fetchone() == (
            100_000, 4_999_950_000,
        )  # fmt: skip
    with storage.opened(file) as source:
        assert parquet.read_metadata(source).num_rows == 100_000
    system, (path,) = storage.arrow([file])
    assert parquet.read_table(path, filesystem=system)["number"].to_pylist()[-1] == 99_999


def test_a_copy_that_fails_leaves_no_file(lake: str) -> None:
    rows = (
        "select case when number = 2999999 then error('broken') else number end as number from range(3000000) r(number)"
    )
    with pytest.raises(Exception, match="broken"), duck.session() as connection:
        duck.copy(connection, rows, f"{lake}/rows.parquet")
    assert storage.files(lake) == []


def test_duckdb_reads_a_bucket_without_a_key_of_ours_through_python(
    bucket: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a role of the machine, and in other clouds: what DuckDB's own reader cannot do."""
    file = storage.in_lake("rows.parquet")
    with storage.whole(file) as unfinished:
        parquet.write_table(pa.table({"number": [1, 2, 3]}), unfinished)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", os.environ["STOCKTAKE_LAKE_KEY_ID"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", os.environ["STOCKTAKE_LAKE_SECRET"])
    monkeypatch.delenv("STOCKTAKE_LAKE_KEY_ID")
    monkeypatch.delenv("STOCKTAKE_LAKE_SECRET")
    settings.cache_clear()
    assert bucket.endpoint == settings().lake_endpoint
    with duck.session() as connection:
        assert connection.execute(f"select sum(number) from read_parquet('{file}')").fetchone() == (6,)
        assert connection.execute("select count(*) from duckdb_secrets()").fetchone() == (0,)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("STOCKTAKE_LAKE_SECRET", "not-the-s3cret", "refuses: mend STOCKTAKE_LAKE_KEY_ID and STOCKTAKE_LAKE_SECRET"),
        ("STOCKTAKE_LAKE_KEY_ID", "nobody", "refuses: mend STOCKTAKE_LAKE_KEY_ID and STOCKTAKE_LAKE_SECRET"),
        ("STOCKTAKE_LAKE", "s3://nobucket/lake", "there is no bucket s3://nobucket: make it, or mend STOCKTAKE_LAKE"),
    ],
)
def test_a_store_that_refuses_says_which_setting_to_mend(
    bucket: ObjectServer, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    storage.write(storage.in_lake("file"), b"")
    monkeypatch.setenv(name, value)
    settings.cache_clear()
    with pytest.raises(UnusableStorage) as refused:
        storage.check(settings().lake)
    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in repr(settings())
    assert SECRET in bucket.variables("lake").values()


def test_a_store_that_is_away_is_a_lost_connection(bucket: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKTAKE_LAKE_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("STOCKTAKE_LAKE_RETRY_SECONDS", "1")
    settings.cache_clear()
    assert bucket.endpoint != settings().lake_endpoint
    with pytest.raises(ConnectionError, match="s3://alone is away"):
        storage.check(settings().lake)


def test_runs_that_write_the_first_rows_of_a_table_at_the_same_time_lose_none(lake: str) -> None:
    """Only the landing has writers at the same time; who loses the race is told, and tries again as a task does."""
    runs = [f"run-{number}" for number in range(4)]

    def land(run: str) -> None:
        for attempt in Retrying(retry=retry_if_exception_type(CommitFailedError), stop=stop_after_attempt(len(runs))):
            with attempt:
                writes.replace_run("raw", "orders", run, pa.table({"number": [1, 2], RUN: [run, run]}).to_reader())

    with ThreadPoolExecutor(len(runs)) as at_once:
        for landed in [at_once.submit(land, run) for run in runs]:
            landed.result()
    assert tables.runs("raw", "orders") == {*runs}
    with duck.session() as connection:
        for run in runs:
            files = tables.files("raw", "orders", run=run)
            found = connection.execute(f"select count(*) from read_parquet({files})").fetchone()
            assert found == (2,), (lake, run)


def test_only_what_is_said_of_the_store_means_something_of_it(bucket: ObjectServer) -> None:
    """A rule's name, Postgres and Spark use the same words."""
    assert bucket.endpoint
    for error in (
        ContractError("column payment_timeout of orders is gone"),
        duckdb.IOException("Failed to execute query: canceling statement due to lock timeout"),
        RuntimeError("failed to connect to all addresses; last error: Connection refused"),
    ):
        assert storage.meaning(error) is None
    for said in (
        "Generic S3 error: Error performing PUT http://x in 1s, after 9 retries - HTTP error: error sending request",
        "Generic S3 error: Error performing GET http://x - Server returned non-2xx status code: 503 Slow Down",
        "Could not establish connection error for HTTP HEAD to 'http://127.0.0.1:9/lake/x'",
    ):
        assert isinstance(storage.meaning(OSError(said)), ConnectionError)
    told = storage.meaning(OSError("Generic S3 error: 403 Forbidden <AWSAccessKeyId>AKIA123</AWSAccessKeyId>"))
    assert isinstance(told, UnusableStorage)
    assert "AKIA123" not in str(told)


def test_what_a_killed_process_left_unfinished_is_found(own_lake: Path) -> None:
    half = own_lake / "training_sets" / "churn.parquet.0123.part"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    storage.write(storage.in_lake("training_sets", "whole.parquet"), b"rows")
    assert [file.path for file in storage.unfinished(settings().lake)] == [str(half)]


def test_a_link_to_a_folder_is_not_followed_by_who_removes(own_lake: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_bytes(b"rows")
    (own_lake / "scratch").mkdir(parents=True)
    (own_lake / "scratch" / "link").symlink_to(tmp_path / "elsewhere")
    assert storage.files(storage.in_lake("scratch"), deep=True) == []
    storage.remove_folder(storage.in_lake("scratch"))
    assert (tmp_path / "elsewhere" / "kept").exists()
