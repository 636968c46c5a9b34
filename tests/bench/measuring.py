"""One piece of work in a process of its own: how long it took, and the most memory that its process tree held."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from include.settings import ROOT

INTERVAL = 0.05  # seconds between two looks at the memory; less at first, so that a short life is seen too


class JobFailed(RuntimeError):
    """The measured process failed; the message ends with its last words."""


@dataclass(frozen=True)
class Measurement:
    """What one piece of work took.

    Attributes:
        seconds: of the work alone, without the start of its process and its imports, where the process says so.
        rows: as it counted them.
        peak_bytes: the most memory that its process and all processes below it held at once.
        value: whatever else it has to say.
    """

    seconds: float
    rows: int
    peak_bytes: int
    value: Any = None


@dataclass
class TreeMemory:
    """The most memory that a process and all processes below it held, as far as it was looked at.

    Pages that several processes share count once (PSS). Reading that makes a large process wait for milliseconds, so
    it is read only when the resident sizes, which are cheap and never less, exceed the most that was found.
    """

    process: psutil.Process
    peak_bytes: int = 0

    def look(self) -> None:
        """Look once."""
        tree = [self.process]
        with suppress(psutil.Error):
            tree += self.process.children(recursive=True)
        resident = {one: size for one in tree if (size := _resident(one))}
        if sum(resident.values()) > self.peak_bytes:
            self.peak_bytes = max(self.peak_bytes, sum(_proportional(one, size) for one, size in resident.items()))


def job(name: str, environment: Mapping[str, str], **arguments: Any) -> Measurement:
    """Do one of ``tests.bench.jobs`` in a process of its own.

    Args:
        name: of the job.
        environment: of the process, whole.
        arguments: of the job, as JSON can hold them.

    Raises:
        JobFailed: when it does.
    """
    command = [sys.executable, "-m", "tests.bench.jobs", name, json.dumps(arguments)]
    return reported(command, environment)


def reported(command: Sequence[str], environment: Mapping[str, str]) -> Measurement:
    """Measure a program that writes what it did, as JSON, to the file that is its last argument."""
    with TemporaryDirectory(prefix="stocktake-bench-") as folder:
        result = Path(folder) / "result.json"
        done = measured([*command, str(result)], environment)
        said = json.loads(result.read_text())
    # Its own high-water mark knows what happened between two looks, but nothing of the processes below it.
    peak = max(done.peak_bytes, int(said.get("own_peak_bytes", 0)))
    return Measurement(float(said["seconds"]), int(said["rows"]), peak, said.get("value"))


def measured(command: Sequence[str], environment: Mapping[str, str]) -> Measurement:
    """Run a program from the project's root and wait for it; its standard output is the value.

    However this ends, no process of it is left.

    Raises:
        JobFailed: when it ends with an error.
    """
    with TemporaryDirectory(prefix="stocktake-bench-") as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        with out.open("w") as stdout, err.open("w") as stderr:
            started = time.perf_counter()
            process = subprocess.Popen(
                command, env=dict(environment), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                start_new_session=True,
            )  # fmt: skip
            memory = TreeMemory(psutil.Process(process.pid))
            try:
                memory.look()
                interval = INTERVAL / 16
                while _runs(process, interval):
                    memory.look()
                    interval = min(2 * interval, INTERVAL)
                seconds = time.perf_counter() - started
            finally:
                _end(process)
        if process.returncode:
            words = (err.read_text(errors="replace") or out.read_text(errors="replace")).strip().splitlines()
            raise JobFailed(f"{' '.join(command)[:300]}\n" + "\n".join(words[-15:]))
        return Measurement(seconds, 0, memory.peak_bytes, out.read_text(errors="replace"))


def own_peak() -> int:
    """The most memory that this process held so far, in bytes; 0 where the system does not say."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) * 1024


def _runs(process: subprocess.Popen[bytes], interval: float) -> bool:
    """Whether it still runs after so many seconds."""
    try:
        process.wait(interval)
    except subprocess.TimeoutExpired:
        return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill whatever is left of a process's session and of the processes below it."""
    left: list[psutil.Process] = []
    with suppress(psutil.Error):
        left = psutil.Process(process.pid).children(recursive=True)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for one in left:
        with suppress(psutil.Error):
            one.kill()
    process.wait()


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _proportional(process: psutil.Process, resident: int) -> int:
    """The process's share of what it holds; its resident size where the system does not say (macOS)."""
    with suppress(psutil.Error, AttributeError):
        return int(process.memory_full_info().pss)
    return resident
