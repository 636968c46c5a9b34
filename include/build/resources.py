"""What a build's engine may use: limits and clusters as the settings say, and the files of the lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
from pydantic import SecretStr

from include.lake import duckdb_session as duck
from include.lake import storage
from include.lake.scratch import Scratch
from include.settings import settings


class LakeFiles:
    """The files of the lake, as engines ask for them (``transforms.engines.protocol.Files``)."""

    def arrow(self, files: Sequence[str]) -> tuple[Any, list[str]]:
        """Arrow's file system for files of one place, None for folders; and what they are called there."""
        return storage.arrow(files)

    def bytes(self, files: Sequence[str]) -> int:
        """The size of files."""
        return sum(found.bytes for found in storage.find_all(files) if found)

    def read_by(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Let a DuckDB connection read them; whether its relations may."""
        return duck.reach_lake(connection)


@dataclass(frozen=True)
class Resources:
    """See ``transforms.engines.protocol.Resources``."""

    memory_limit: str
    engines: Mapping[str, str]
    dask_scheduler: str | None
    spark_master: str | None
    spark_remote: SecretStr | None
    engine_fallback: str | None
    server_idle_seconds: float
    shared: str
    files: LakeFiles = field(default_factory=LakeFiles)


def resources_of(room: Scratch) -> Resources:
    """What the settings allow, for a build with this scratch."""
    said = settings()
    return Resources(
        said.memory_limit,
        said.engines,
        said.dask_scheduler,
        said.spark_master,
        said.spark_remote,
        said.engine_fallback,
        said.server_idle_seconds,
        room.shared,
    )
