"""The engines that run a table's ``build``. No other package imports one.

A build sees narwhals lazy frames and nothing else. An engine opens Parquet files as such a frame and writes the rows of
one to Parquet files; adding an engine is adding one class to ``ENGINES``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Final

from transforms.engines.dask_engine import DaskEngine
from transforms.engines.duckdb_engine import DuckdbEngine
from transforms.engines.pandas_engine import PandasEngine
from transforms.engines.protocol import Engine, Frame, Local, OutOfMemory, Resources, Step
from transforms.engines.spark_engine import SparkEngine

__all__ = ["AUTO", "ENGINES", "Engine", "Frame", "Local", "OutOfMemory", "Resources", "Step", "by_key", "choose"]

ENGINES: Final[Mapping[str, type[Engine]]] = {
    "pandas": PandasEngine,
    "duckdb": DuckdbEngine,
    "dask": DaskEngine,
    "spark": SparkEngine,
}

AUTO: Final = "auto"

_PACKAGES: Final[Mapping[str, str]] = {
    "dask": "distributed",
    "spark": "pyspark",
}  # of those that not all deployments have

_BY_IMPLEMENTATION: Final = {engine.implementation: engine for engine in ENGINES.values()}

# With inputs three times as large (a shop of 150,000 orders), builds on pandas took up to 827 MB.
_SMALL_BYTES: Final = 16 * 1024**2
# A cluster takes seconds to reach and shuffles over a network. The break-even is a guess, not measured.
_LARGE_BYTES: Final = 2 * 1024**3


def by_key(frame: Frame, key: Sequence[str], step: Step) -> Frame:
    """Run a step that must see all rows of a key together: ordered windows, row numbers, sums over a key.

    Args:
        frame: the rows.
        key: the columns that name the key; every window of the step is over (at least) these.
        step: takes and returns a frame. It is called once with all rows, or several times with the rows of some keys.
    """
    return _BY_IMPLEMENTATION[frame.implementation].by_key(frame, key, step)


def choose(table: str, asked: str, files: Sequence[str], resources: Resources) -> str:
    """The engine that builds a table.

    Args:
        table: its name; with ``auto``, the settings may name an engine for it.
        asked: a key of ``ENGINES``, or ``auto``: pandas for small inputs, DuckDB for larger ones, and the configured
            cluster for very large ones, Spark before Dask.
        files: the Parquet files of the table's inputs.
        resources: engines by table, and the clusters.

    Raises:
        ValueError: naming the engines, when there is no such one, or the extra to install, when it is not there.
    """
    chosen = _chosen(table, asked, files, resources)
    if (package := _PACKAGES.get(chosen)) and find_spec(package) is None:
        raise ValueError(
            f"{table}: {chosen} is to build it, and its packages are not installed here: install the extra {chosen}"
            " (docker compose: EXTRAS in .env, and build the image again), or name another engine"
        )
    return chosen


def _chosen(table: str, asked: str, files: Sequence[str], resources: Resources) -> str:
    asked = resources.engines.get(table, AUTO) if asked == AUTO else asked
    if asked != AUTO:
        if asked not in ENGINES:
            raise ValueError(f"{table}: there is no engine {asked!r}; there are {', '.join((AUTO, *ENGINES))}")
        return asked
    size = resources.files.bytes(files)
    if size <= _SMALL_BYTES:
        return "pandas"
    if size > _LARGE_BYTES and (resources.spark_remote or resources.spark_master):
        return "spark"
    if size > _LARGE_BYTES and resources.dask_scheduler:
        return "dask"
    return "duckdb"
