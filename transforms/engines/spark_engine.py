"""Spark: for tables of any size, on this machine or a cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self
from urllib.parse import quote

import narwhals as nw

from transforms.engines.protocol import Frame, Resources, Step, worker_bytes
from transforms.engines.shared_server import joined
from transforms.engines.spark_lake import lake_source, writer

_SETTINGS: Final = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # a sum beyond 64 bits is an error, not another number
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
}
# Measured on the demo shop's 31 tables: planning again after every shuffle, and four tasks for each, cost a fifth.
_SMALL: Final = {"spark.sql.adaptive.enabled": "false", "spark.sql.shuffle.partitions": "1"}
_SMALL_BYTES: Final = 32 * 1024**2


class SparkEngine:
    """Spark SQL on the files, through Spark Connect; neither inputs nor results pass through this process.

    An active session is used and left open; otherwise one is opened, and closed on exit: on ``spark_remote``, or on the
    server that the builds of a night share on this machine.
    """

    implementation: ClassVar = nw.Implementation.PYSPARK_CONNECT

    def __init__(self, resources: Resources) -> None:
        """Run on ``spark_remote``, else on ``spark_master``, else in a JVM here with twice ``memory_limit``."""
        self._resources = resources
        self._read: set[str] = set()
        self._numbers = count()

    def __enter__(self) -> Self:
        from pyspark.sql.connect.session import SparkSession

        self._held = ExitStack()
        active = SparkSession.getActiveSession()
        if active is None:
            active = self._remote() if self._resources.spark_remote else self._shared()
            self._held.callback(active.stop)
            for name, value in _SETTINGS.items():
                active.conf.set(name, value)
        self._session = active
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the session if it was started here."""
        self._held.__exit__(kind, error, trace)

    def _remote(self) -> Any:
        """A session on a server that somebody else runs."""
        url = self._resources.spark_remote
        return _session(url.get_secret_value() if url else "")

    def _shared(self) -> Any:
        """A session on the server of this machine."""
        arguments = {"master": self._resources.spark_master, "heap": f"{worker_bytes(self._resources) // 1024}k"}
        server = self._held.enter_context(joined("spark", arguments, self._resources.server_idle_seconds))
        session = _session(
            f"sc://localhost:{server.address['port']}/;token={quote(server.address['token'])}", server.is_alive
        )
        session.conf.set("spark.sql.shuffle.partitions", 2 * server.address["parallelism"])
        return session

    def open(self, files: Sequence[str], schema: Any) -> Frame:
        """See Engine."""
        from pyspark.sql.pandas.types import from_arrow_schema

        if not files:
            return self.frame(schema.empty_table())
        self._read.update(files)
        system, paths = self._resources.files.arrow(files)
        reader = self._session.read.schema(from_arrow_schema(schema))
        if system is None:
            found: Frame = nw.from_native(reader.parquet(*map(_literal, files)))
            return found
        name = f"lake_{next(self._numbers)}"
        self._session.dataSource.register(lake_source(name, system, paths, schema))
        frame: Frame = nw.from_native(reader.format(name).load())
        return frame

    def frame(self, table: Any) -> Frame:
        """See Engine."""
        from pyspark.sql.pandas.types import from_arrow_schema

        # Of a table without rows Spark Connect does not see the types.
        frame: Frame = nw.from_native(self._session.createDataFrame(table, from_arrow_schema(table.schema)))
        return frame

    def typed(self, frame: Frame, schema: Any) -> Frame:
        """See Engine."""
        rows: Frame = nw.from_native(self._typed(frame, schema))
        return rows

    def write(self, frame: Frame, schema: Any, order: Sequence[str], into: Path) -> list[str]:
        """See Engine."""
        ordered = self._typed(frame, schema).orderBy(*order)
        if self._resources.files.bytes([*self._read]) < _SMALL_BYTES:
            for name, value in _SMALL.items():
                self._session.conf.set(name, value)
        shared = self._resources.shared or str(into)
        system, (folder,) = self._resources.files.arrow([shared])
        if system is None:
            ordered.write.mode("overwrite").parquet(str(into))
            return [str(file) for file in sorted(into.glob("part-*.parquet"))]
        written = ordered.mapInArrow(writer(system, f"{folder}/{into.name}", schema), "name string").collect()
        return [f"{shared}/{into.name}/{name}" for (name,) in sorted(written)]

    @staticmethod
    def _typed(frame: Frame, schema: Any) -> Any:
        from pyspark.sql.pandas.types import from_arrow_schema

        rows, declared = frame.to_native(), from_arrow_schema(schema)
        found = dict(rows.dtypes)
        for field in declared:
            # A cast would truncate the fraction silently.
            if field.dataType.simpleString() == "bigint" and found[field.name] in ("double", "float"):
                raise TypeError(f"{field.name} is {found[field.name]}, and a fraction would be truncated to bigint")
        return rows.select(*(rows[field.name].cast(field.dataType).alias(field.name) for field in declared))

    @staticmethod
    def by_key(frame: Frame, key: Sequence[str], step: Step) -> Frame:  # noqa: ARG004 - Spark partitions windows itself
        """See Engine."""
        return step(frame)


def _literal(path: str) -> str:
    """A path for Hadoop, which takes some characters for a pattern."""
    return re.sub(r"[\\\[\]{}*?]", r"\\\g<0>", path)


def _session(url: str, is_alive: Callable[[], bool] = lambda: True) -> Any:
    """A session of one's own, which sees nothing of the others.

    Args:
        url: the server, ``sc://…``.
        is_alive: whether a call that failed is worth another try, which pyspark makes for ten minutes.
    """
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession

    class WhileAlive(DefaultPolicy):
        def can_retry(self, exception: BaseException) -> bool:
            return super().can_retry(exception) and is_alive()

    session = SparkSession.builder.remote(url).create()
    session.client.set_retry_policies([WhileAlive()])
    return session
