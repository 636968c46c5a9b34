"""A process that does something and may be killed at a named point of it. Nothing in the product knows of these points.

The point is a function of the product, by its dotted name, and one of its calls: the process kills itself right before
it or right after it. Or it is a file, which somebody else waits for: the process dies as soon as it appears.
"""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psycopg
from deltalake.exceptions import CommitFailedError

from include.settings import settings
from tests.kills.loader import PASSES

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    [
        "__main__",
        "tests.faults.place",
        "tests.faults.steps",
        "tests.faults.state",
        "include.contract.expectations",
        "pandas",
    ]
)
_PATIENCE = 300.0  # seconds that a step may take
# Whoever starts a process asks all others for their exit codes, and each can be read once: of two who ask at the same
# time, one finds nothing and takes that for 255.
_ASKING = threading.Lock()
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Point:
    """Where a process dies.

    Attributes:
        function: the dotted name of a function, as its caller finds it.
        call: which of its calls, from one.
        after: whether it has returned by then.
        of: what its first arguments have to be for a call to count.
        file: instead of a function, a pattern below the lake: the first new file that fits it.
    """

    function: str = ""
    call: int = 1
    after: bool = False
    of: tuple[str, ...] = ()
    file: str = ""


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code; below zero: the signal that killed it.
        value: what the function gave.
        error: what it raised, by its kind and in its words.
        is_passing: whether a task that raises this is tried again.
    """

    code: int
    value: Any = None
    error: str = ""
    is_passing: bool = False


def run(
    function: Callable[..., Any],
    *arguments: Any,
    environment: Mapping[str, str],
    point: Point | None = None,
    prepare: Callable[[], None] | None = None,
) -> Ended:
    """Have a process call a function, and wait for its end.

    Args:
        function: one that a process finds by its name.
        arguments: what it is called with.
        environment: of the process: its shop, its warehouse, its lake.
        point: where it dies.
        prepare: what it does first, by its name too.
    """
    mine, theirs = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(
        target=_do, args=(theirs, dict(environment), point if point and point.function else None, prepare, function,
                          arguments),
    )  # fmt: skip
    known = set(_files(environment, point)) if point and point.file else set[Path]()
    with _ASKING:
        process.start()
    theirs.close()
    said: tuple[Any, str, bool] = (None, "", False)
    try:
        if point and point.file:
            _kill_when_it_appears(process, environment, point, known)
        if mine.poll(_PATIENCE):
            said = mine.recv()
    except EOFError:
        pass
    code = _wait(process)
    if code is None:
        process.kill()
        _wait(process)
        return Ended(1, error=f"it took longer than {_PATIENCE:.0f} s")
    return Ended(code, *said)


def _wait(process: BaseProcess) -> int | None:
    """The exit code of a process that ends; None of one that does not."""
    end = time.monotonic() + _PATIENCE
    while (code := _exit_code(process)) is None and time.monotonic() < end:
        time.sleep(0.01)
    return code


def _exit_code(process: BaseProcess) -> int | None:
    with _ASKING:
        return process.exitcode


def _files(environment: Mapping[str, str], point: Point) -> Iterable[Path]:
    return Path(environment["STOCKTAKE_LAKE"]).glob(point.file)


def _kill_when_it_appears(process: BaseProcess, environment: Mapping[str, str], point: Point, known: set[Path]) -> None:
    """Look without a pause: what comes after the file may come a millisecond later."""
    end = time.monotonic() + _PATIENCE
    while _exit_code(process) is None and time.monotonic() < end:
        if any(file not in known for file in _files(environment, point)):
            process.kill()
            return


def _do(
    told: Connection,
    environment: Mapping[str, str],
    point: Point | None,
    prepare: Callable[[], None] | None,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    os.environ.update(environment)
    tempfile.tempdir = None
    settings.cache_clear()
    if point:
        lay(point)
    if prepare:
        prepare()
    try:
        value = function(*arguments)
    except BaseException as error:
        told.send((None, f"{type(error).__name__}: {error}", isinstance(error, (*PASSES, CommitFailedError))))
        told.close()
        os._exit(1)
    told.send((value, "", False))
    told.close()
    os._exit(0)  # as at the end of a task; what a library would still tidy up here is not waited for


def lay(point: Point) -> None:
    """Have this process die at a point."""
    owner, name = _owner(point.function)
    original = getattr(owner, name)
    calls = 0

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += args[: len(point.of)] == point.of
        is_due = calls == point.call and args[: len(point.of)] == point.of
        if is_due and not point.after:
            os.kill(os.getpid(), signal.SIGKILL)
        value = original(*args, **kwargs)
        if is_due:
            os.kill(os.getpid(), signal.SIGKILL)
        return value

    setattr(owner, name, watched)


def _owner(dotted: str) -> tuple[Any, str]:
    """The module or class that a function is looked up in, and its name there."""
    *path, name = dotted.split(".")
    for length in range(len(path), 0, -1):
        try:
            owner = importlib.import_module(".".join(path[:length]))
        except ModuleNotFoundError:
            continue
        return functools.reduce(getattr, path[length:], owner), name
    raise ValueError(f"there is no module in {dotted}")


def patiently(ask: Callable[[], Any]) -> Any:
    """Ask again while Postgres has connections that are ending, for ten seconds."""
    for _ in range(50):
        try:
            return ask()
        except psycopg.OperationalError:
            time.sleep(0.2)
    return ask()


def remove(folder: Path) -> None:
    """Remove a folder and what is in it."""
    shutil.rmtree(folder, ignore_errors=True)
