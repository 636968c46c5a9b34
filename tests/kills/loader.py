"""The loader: a process that publishes and may be killed. It is the fork of one that has read what it needs."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess

import duckdb
import psycopg

from include.pipeline import republish  # noqa: F401 - read once, before any fork
from include.settings import settings
from tests import handmade  # noqa: F401 - the same

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["__main__", __name__])

# What says that Postgres has gone, and is tried again: ``include.pipeline.task_defaults``.
PASSES = (OSError, psycopg.OperationalError, duckdb.IOException)
TRIED_AGAIN = 7  # how it ends then


def loader(step: Callable[[], object], environment: Mapping[str, str]) -> BaseProcess:
    """A process that is about to do a step.

    Args:
        step: what it does; it ends with 0, with ``TRIED_AGAIN``, or with whatever kills it.
        environment: where its warehouse and its lake are.
    """
    return _PROCESSES.Process(target=_load, args=(step, dict(environment)))


def _load(step: Callable[[], object], environment: Mapping[str, str]) -> None:
    os.environ.update(environment)
    settings.cache_clear()
    try:
        step()
    except PASSES:
        os._exit(TRIED_AGAIN)
