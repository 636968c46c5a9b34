"""A Spark Connect server: a JVM on this machine, its work done here or on ``master``.

The one that a night's tasks share lives as long as they need it (``serve``). One that stays, for many machines, is
``python -m transforms.engines.spark_server --port 15002``: whoever reaches that port runs code there, so that only a
network of its clients may.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from transforms.engines.java import java_home
from transforms.engines.server_process import Serving

_OUT_OF_MEMORY: Final = 52  # with which Spark ends a JVM that ran out

# A night's builds are over before the second compiler's code pays: it took a third of all CPU time, measured on the
# demo shop. The executors of a cluster are other processes, and have it.
_JAVA_OPTIONS: Final = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_SETTINGS: Final = {
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
}
_PORT: Final = "spark.connect.grpc.binding.port"
_PLUGIN: Final = {
    "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
    "spark.connect.grpc.binding.address": "127.0.0.1",
    _PORT: "0",  # any that is free
}
_SERVER_CLASS: Final = "org.apache.spark.sql.connect.service.SparkConnectServer"


@contextmanager
def serve(arguments: Mapping[str, Any], scratch: Path) -> Iterator[Serving]:
    """Run it in this block.

    Args:
        arguments: ``master``, None for this machine's cores; ``heap`` of the JVM, in Java's notation.
        scratch: where it may write.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    os.environ["JAVA_HOME"] = java_home(scratch)
    # Another user of this machine may reach the port, and must not read the lake as we do.
    token = os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"] = secrets.token_urlsafe(32)
    conf = SparkConf().setAppName("stocktake").setMaster(arguments["master"] or "local[*]")
    conf.setAll([*_PLUGIN.items(), *_settings(arguments["heap"], scratch).items()])
    if not arguments["master"]:
        conf.setAll([*_of_this_machine(scratch).items()])
    context = SparkContext(conf=conf)
    SparkSession(context)  # the one that those of the users are made from
    java: Any = context._gateway
    # A Scala object, as pyspark's own client reads it.
    service = getattr(getattr(java.jvm, "org.apache.spark.sql.connect.service.SparkConnectService$"), "MODULE$")
    address = {"port": service.localPort(), "token": token, "parallelism": context.defaultParallelism}

    def why_ended() -> str | None:
        code = java.proc.poll()
        if code is None:
            return None
        return "memory" if code == _OUT_OF_MEMORY else f"Java ended with {code}"

    try:
        yield address, why_ended
    finally:
        # Java ends when this pipe closes, and so it does when this process is killed.
        java.proc.stdin.close()
        java.proc.wait(timeout=30)


def main() -> None:
    """Become a server that stays until it is ended, on this machine's cores and for every machine that reaches it."""
    parser = argparse.ArgumentParser(description="A Spark Connect server, on every address of this machine.")
    parser.add_argument("--port", type=int, default=15002)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--heap", default="2g", help="memory of the JVM, in Java's notation")
    asked = parser.parse_args()
    scratch = Path(tempfile.gettempdir())
    settings = {**_settings(asked.heap, scratch), **_of_this_machine(scratch), _PORT: str(asked.port)}
    submit = shutil.which("spark-submit")
    if submit is None:
        raise SystemExit("there is no spark-submit here: the extra spark brings it")
    os.environ["JAVA_HOME"] = java_home(scratch)
    said = [f"--conf={name}={value}" for name, value in settings.items()]
    command = [submit, f"--master=local[{asked.cores}]", *said, f"--class={_SERVER_CLASS}", "spark-internal"]
    os.execv(submit, command)  # noqa: S606 - in this process's place, so that a signal reaches Java


def _settings(heap: str, scratch: Path) -> dict[str, str]:
    """What every server has.

    Args:
        heap: memory of the JVM.
        scratch: where it may write.
    """
    return {
        **_SETTINGS,
        "spark.sql.warehouse.dir": str(scratch),
        "spark.driver.memory": heap,
        # Java unpacks libraries there and loads them; in a container, nothing may be loaded from /tmp.
        "spark.driver.extraJavaOptions": f'{_JAVA_OPTIONS} "-Djava.io.tmpdir={scratch}"',
    }


def _of_this_machine(scratch: Path) -> dict[str, str]:
    """What those have whose work is done here."""
    os.environ["PYSPARK_PYTHON"] = sys.executable  # what reads a lake in an object store
    return {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(scratch),
    }


if __name__ == "__main__":
    main()
