"""The Spark Connect server that a night's tasks share: a JVM on this machine, its work done here or on ``master``."""

from __future__ import annotations

import os
import secrets
import sys
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
    "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
    "spark.connect.grpc.binding.address": "127.0.0.1",
    "spark.connect.grpc.binding.port": "0",  # any that is free
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
}


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
    conf.setAll(list(_SETTINGS.items())).set("spark.sql.warehouse.dir", str(scratch))
    conf.set("spark.driver.memory", arguments["heap"])
    # Java unpacks libraries there and loads them; in a container, nothing may be loaded from /tmp.
    conf.set("spark.driver.extraJavaOptions", f'{_JAVA_OPTIONS} "-Djava.io.tmpdir={scratch}"')
    if not arguments["master"]:
        os.environ["PYSPARK_PYTHON"] = sys.executable  # what reads a lake in an object store
        conf.set("spark.driver.host", "127.0.0.1").set("spark.driver.bindAddress", "127.0.0.1")
        conf.set("spark.local.dir", str(scratch))
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
