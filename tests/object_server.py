"""A real S3 server on this machine: SeaweedFS, from its wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from obstore.store import S3Store

from include.settings import settings
from tests.ports import SEAWEEDFS_BESIDE, free_ports

KEY_ID, SECRET = "stocktake", "s3cret-of-the-lake"
REGION = "us-east-1"


@dataclass(frozen=True)
class ObjectServer:
    """A server that runs.

    Attributes:
        endpoint: its URL.
        process: its process.
    """

    endpoint: str
    process: subprocess.Popen[bytes]

    def bucket(self, name: str) -> S3Store:
        """A bucket, which is made by the first file."""
        config = {"endpoint": self.endpoint, "access_key_id": KEY_ID, "secret_access_key": SECRET, "region": REGION}
        return S3Store(name, config=config, client_options={"allow_http": True})  # type: ignore[arg-type]

    def upload(self, folder: Path, lake: str) -> None:
        """Put the files of a folder below bucket and prefix."""
        bucket, _, prefix = lake.partition("/")
        store = self.bucket(bucket)
        for file in folder.rglob("*"):
            if file.is_file():
                store.put(f"{prefix}/{file.relative_to(folder)}", file)

    def copy(self, lake: str, other: str) -> None:
        """Copy what lies below bucket and prefix to another prefix of the bucket."""
        bucket, _, prefix = lake.partition("/")
        store = self.bucket(bucket)
        for file in [file["path"] for batch in store.list(f"{prefix}/") for file in batch]:
            store.copy(file, f"{other.partition('/')[2]}/{file.removeprefix(f'{prefix}/')}")

    def variables(self, lake: str) -> dict[str, str]:
        """The settings of a lake on it, whose bucket is made.

        Args:
            lake: bucket and prefix.
        """
        self.bucket(lake.partition("/")[0]).put("made", b"")
        return {
            "STOCKTAKE_LAKE": f"s3://{lake}",
            "STOCKTAKE_REPORTS": f"s3://{lake}/reports",
            "STOCKTAKE_LAKE_ENDPOINT": self.endpoint,
            "STOCKTAKE_LAKE_REGION": REGION,
            "STOCKTAKE_LAKE_KEY_ID": KEY_ID,
            "STOCKTAKE_LAKE_SECRET": SECRET,
        }


@contextmanager
def running(folder: Path) -> Iterator[ObjectServer]:
    """A server that keeps its files in a folder; it is up when the block begins."""
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "lake", "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}], "actions": actions}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir(exist_ok=True)
    master, volume, filer, s3 = free_ports(4, SEAWEEDFS_BESIDE)
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("weed"), "server", "-s3", f"-dir={folder / 'data'}", "-volume.max=100",
                f"-s3.config={folder / 's3.json'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-master.port={master}",
                f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}",
                "-s3.port.iceberg=0", "-s3.port.lance=0",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    server = ObjectServer(f"http://127.0.0.1:{s3}", process)
    try:
        _wait(server, folder / "weed.log")
        yield server
    finally:
        process.kill()  # asked to end it takes 25 s
        process.wait()


def without_a_key_of_ours(environment: pytest.MonkeyPatch) -> None:
    """The machine is let in, as one with a role is; DuckDB reads through Python then."""
    for name, ours in (("AWS_ACCESS_KEY_ID", "KEY_ID"), ("AWS_SECRET_ACCESS_KEY", "SECRET")):
        environment.setenv(name, os.environ[f"STOCKTAKE_LAKE_{ours}"])
        environment.delenv(f"STOCKTAKE_LAKE_{ours}")
    settings.cache_clear()


def _wait(server: ObjectServer, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(server.endpoint).status_code == 403:  # up, and it wants to know who asks
                server.bucket("warm").put("up", b"")
                return
        except Exception as error:
            last = error
        time.sleep(0.2)
    raise RuntimeError(f"SeaweedFS did not start: {log.read_text(errors='replace')[-2000:]}") from last
