"""The engines that run a table's ``build``. The only package that knows one.

A build sees narwhals lazy frames and nothing else. An engine opens Parquet files as such a frame and writes the rows of
one to Parquet files; adding an engine is adding one class to ``ENGINES``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from transforms.engines.dask_engine import DaskEngine
from transforms.engines.duckdb_engine import DuckdbEngine
from transforms.engines.pandas_engine import PandasEngine
from transforms.engines.protocol import Engine, Frame, Local, Resources, Step
from transforms.engines.spark_engine import SparkEngine

__all__ = ["AUTO", "ENGINES", "Engine", "Frame", "Local", "Resources", "Step", "by_key", "choose"]

ENGINES: Final[Mapping[str, type[Engine]]] = {
    "pandas": PandasEngine,
    "duckdb": DuckdbEngine,
    "dask": DaskEngine,
    "spark": SparkEngine,
}

AUTO: Final = "auto"

_BY_IMPLEMENTATION: Final = {engine.implementation: engine for engine in ENGINES.values()}

# Of about three times as much, a shop of 150,000 orders, builds on pandas held up to 827 MB.
_SMALL_BYTES: Final = 16 * 1024**2
# A cluster costs seconds to reach and shuffles over a network. Where it pays was not measured: a guess, to be set.
_LARGE_BYTES: Final = 2 * 1024**3


def by_key(frame: Frame, key: Sequence[str], step: Step) -> Frame:
    """Run a step that must see all rows of a key together: ordered windows, row numbers, sums over a key.

    Args:
        frame: the rows.
        key: the columns that name the key; every window of the step is over (at least) these.
        step: takes and returns a frame. It may be called once with everything or many times with some of the keys.
    """
    return _BY_IMPLEMENTATION[frame.implementation].by_key(frame, key, step)


def choose(table: str, asked: str, files: Sequence[str], resources: Resources) -> str:
    """The engine that builds a table.

    Args:
        table: its name; with ``auto``, the deployment may have chosen for it.
        asked: a key of ``ENGINES``, or ``auto``: pandas for small inputs, DuckDB for larger ones, and for very large
            ones the cluster that is configured, Spark before Dask.
        files: the Parquet files of the table's inputs.
        resources: what the deployment chose, and which clusters there are.

    Raises:
        ValueError: naming the engines there are, when the one asked for is none.
    """
    asked = resources.engines.get(table, AUTO) if asked == AUTO else asked
    if asked != AUTO:
        if asked not in ENGINES:
            raise ValueError(f"{table}: there is no engine {asked!r}; there are {', '.join((AUTO, *ENGINES))}")
        return asked
    size = sum(Path(file).stat().st_size for file in files)
    if size <= _SMALL_BYTES:
        return "pandas"
    if size > _LARGE_BYTES and resources.spark_master:
        return "spark"
    if size > _LARGE_BYTES and resources.dask_scheduler:
        return "dask"
    return "duckdb"
