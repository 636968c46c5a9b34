"""The bench measures truthfully: memory of the whole process tree, rows, and the work alone; and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.bench.measuring import JobFailed, job, measured
from tests.bench.report import MEGABYTE


@pytest.mark.parametrize("below", [False, True], ids=["in the process", "in one below it"])
def test_the_memory_of_the_whole_tree_is_seen(below: bool) -> None:
    nothing = job("allocate", os.environ, megabytes=0, below=below)
    much = job("allocate", os.environ, megabytes=200, below=below)
    assert much.rows == 200
    assert much.value == "done"
    assert 10 < nothing.peak_bytes / MEGABYTE < 120
    assert 200 < much.peak_bytes / MEGABYTE < 320
    assert 0.25 <= nothing.seconds < 0.25 + 1  # not the start of Python and the imports


def test_pages_that_processes_share_count_once() -> None:
    program = (
        "import os, time; held = bytearray(os.urandom(1 << 20) * 100)\n"
        "for _ in range(3):\n    if os.fork() == 0:\n        time.sleep(1.5); os._exit(0)\n"
        "time.sleep(1.5)"
    )
    # Counted apart, they would be 400.
    assert 100 < measured([sys.executable, "-c", program], os.environ).peak_bytes / MEGABYTE < 300


def test_a_failure_is_told_in_its_own_words() -> None:
    with pytest.raises(JobFailed, match="division by zero"):
        measured([sys.executable, "-c", "1 / 0"], os.environ)


def test_what_a_job_leaves_behind_is_ended() -> None:
    done = measured(["sh", "-c", "sleep 61 & echo $!"], os.environ)
    assert is_gone(int(done.value))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_bench_leaves_no_process(sent: signal.Signals) -> None:
    program = (
        "import os, signal; from tests.bench.__main__ import _stop; from tests.bench.measuring import measured\n"
        # What is started in the background by a shell ignores Ctrl-C; a person's terminal is not so.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGTERM, _stop); measured(['sh', '-c', 'sleep 62 & sleep 62'], os.environ)"
    )
    bench = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    try:
        below = wait_for_sleeps(psutil.Process(bench.pid))
        bench.send_signal(sent)
        assert bench.wait(20) != 0
        assert all(is_gone(one.pid) for one in below)
    finally:
        bench.kill()


def wait_for_sleeps(bench: psutil.Process) -> list[psutil.Process]:
    """The shell that is measured and its two children, once they run."""
    deadline = time.monotonic() + 20
    while len(found := bench.children(recursive=True)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def is_gone(pid: int) -> bool:
    """Whether a process ends, or waits only to be buried."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False
