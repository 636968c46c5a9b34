"""What is said of a build whose engine ran out of memory: table, engine, limit, and what to raise."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from transforms.engines.protocol import OutOfMemory, Resources, worker_bytes

_NAMED: Final = ("MemoryError", "OutOfMemoryException", "KilledWorker")
# Spark's errors arrive as text. 52 is how it ends an executor that ran out, 137 how the kernel or a container does.
_SAID: Final = re.compile(
    r"OutOfMemoryError|UNABLE_TO_ACQUIRE_MEMORY|exceeding (physical )?memory limits"
    r"|ExecutorLostFailure.*(exited with code|exit code|exit status):? (52|137)",
    re.DOTALL,
)


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory, on this machine or on a worker's."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return not kinds.isdisjoint(_NAMED) or bool(_SAID.search(str(error)))


def explained(table: str, engine: str, resources: Resources) -> OutOfMemory:
    """The error to raise for a table that an engine could not build."""
    limit, remedy = _LIMITS[engine](resources)
    also = (
        "" if resources.engine_fallback else ", or name an engine to build such a table on in STOCKTAKE_ENGINE_FALLBACK"
    )
    return OutOfMemory(f"{table}: {engine} ran out of memory, with {limit}; {remedy}{also}")


def _pandas(_: Resources) -> tuple[str, str]:
    return "all that this machine has", "name another engine for it in STOCKTAKE_ENGINES"


def _duckdb(resources: Resources) -> tuple[str, str]:
    return resources.memory_limit, "raise STOCKTAKE_MEMORY_LIMIT"


def _dask(resources: Resources) -> tuple[str, str]:
    if resources.dask_scheduler:
        return f"what a worker of {resources.dask_scheduler} has", "give those workers more (--memory-limit)"
    return f"{_megabytes(resources)} a worker, twice STOCKTAKE_MEMORY_LIMIT", "raise that"


def _spark(resources: Resources) -> tuple[str, str]:
    if resources.spark_remote:
        return "what an executor of STOCKTAKE_SPARK_REMOTE has", "give those more (spark.executor.memory)"
    if resources.spark_master:
        return (
            f"what an executor of {resources.spark_master} has",
            "give those more (spark.executor.memory in spark-defaults.conf)",
        )
    return f"a heap of {_megabytes(resources)}, twice STOCKTAKE_MEMORY_LIMIT", "raise that"


def _megabytes(resources: Resources) -> str:
    return f"{worker_bytes(resources) // 10**6} MB"


_LIMITS: Final[Mapping[str, Callable[[Resources], tuple[str, str]]]] = {
    "pandas": _pandas, "duckdb": _duckdb, "dask": _dask, "spark": _spark,
}  # fmt: skip
