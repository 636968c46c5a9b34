"""The lake's disk: it is full, or a file on it is damaged.

Full is a tmpfs of the lake's own that is made no larger than what lies on it, where this user may mount one (root);
elsewhere the process may not write a file longer than some bytes (``RLIMIT_FSIZE``), which the system refuses likewise.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.faults.course import Course, finish
from tests.faults.fault import Fault, Wrong, must_equal, must_fail
from tests.faults.place import FIRST, Place
from tests.faults.processes import Ended, run
from tests.faults.servers import short
from tests.faults.state import State
from tests.faults.steps import do, files_of

_PLENTY: Final = 512  # MB
_SPARE: Final = 4  # KB that are still free, in units of pages
_MOST_BYTES: Final = 2_000

_FULL: Final = (
    ("nightly", "extract"), ("nightly", "validate orders"), ("nightly", "accept"), ("nightly", "build order_lines"),
    ("nightly", "build inventory_health"), ("features", "build customer_activity"),
)  # fmt: skip

# What only says how the night came to it: a full refresh has read other rows, and looked at others.
_LOOKED_AT: Final = ("audit.conservation", "audit.expectation_results")  # of a table that was built whole, all rows
_HOW: Final = ("audit", "lake/raw", "lake/gone", "the watermarks")


def disks() -> list[Fault]:
    """Every fault of this kind."""
    copy = [
        _copy_damaged(layer, how) for layer, how in (("clean", "missing"), ("clean", "cut"), ("clean", "garbled"),
                                                      ("quarantine", "missing"), ("quarantine", "garbled"))
    ]  # fmt: skip
    derived = [_derived_damaged("order_lines", how) for how in _DAMAGES] + [_derived_damaged("customers", "missing")]
    return [_full(*one) for one in _FULL] + copy + derived + [_input_damaged(), _publish_damaged()]


def _full(dag: str, step: str) -> Fault:
    task = step if dag == "nightly" else f"{dag} {step}"

    def play(course: Course) -> str:
        with course.before(dag, step) as place:
            how, ended = _do_with_no_room(place, dag, step)
            said = must_fail(ended, passing=True)
            finish(place, dag, step)
            must_equal(course.end(), place.look())
        return f"{how}: {short(said)}; tried again with room: as undisturbed"

    return Fault(
        f"{task.replace(' ', '-')}.disk-full", f"{task}: the lake's disk is full",
        "an error that is tried again; the retry, with room, ends as if nothing had happened", play,
    )  # fmt: skip


def _do_with_no_room(place: Place, dag: str, step: str) -> tuple[str, Ended]:
    """Do a step on a disk that is full; how that was done, and how it ended."""
    asked = place.asked(dag)
    with _own_disk(place.lake) as resize:
        if resize:
            resize(f"{_used_kilobytes(place.lake) + _SPARE}k")
            ended = place.do(asked, step)
            resize(f"{_PLENTY}m")
            return "tmpfs", ended
    return "RLIMIT_FSIZE", run(do, asked, step, environment=place.environment, prepare=_write_little)


@contextmanager
def _own_disk(folder: Path) -> Iterator[Callable[[str], None] | None]:
    """Have a folder lie on a disk of its own whose size can be set, for as long as the block takes.

    Yields:
        What sets its size; None where this user may mount nothing.
    """
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.mkdir()
    mounted = _mount("-t", "tmpfs", "-o", f"size={_PLENTY}m", "tmpfs", str(folder))
    if mounted:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
    else:
        folder.rmdir()
        aside.rename(folder)
    try:
        yield (lambda size: _resize(folder, size)) if mounted else None
    finally:
        if mounted:
            shutil.rmtree(aside)
            shutil.copytree(folder, aside)
            subprocess.run(["umount", str(folder)], check=True)
            folder.rmdir()
            aside.rename(folder)


def _mount(*arguments: str) -> bool:
    return os.geteuid() == 0 and not subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode


def _resize(folder: Path, size: str) -> None:
    if not _mount("-o", f"remount,size={size}", str(folder)):
        raise Wrong(f"the disk cannot be made {size}")


def _used_kilobytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize // 1024


def _write_little() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error instead, as of a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_BYTES, _MOST_BYTES))


def _missing(file: Path) -> None:
    file.unlink()


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _garbled(file: Path) -> None:
    """As long as it was, and nothing in it means anything."""
    size = file.stat().st_size
    file.write_bytes(b"PAR1" + bytes(number * 7 % 251 for number in range(size - 8)) + b"PAR1")


_DAMAGES: Final = {"missing": _missing, "cut": _cut, "garbled": _garbled}


def _files(place: Place, layer: str, name: str) -> list[Path]:
    """The files of a table's latest version."""
    ended = run(files_of, layer, name, environment=place.environment)
    return [Path(file) for file in ended.value or ()]


def _damage(place: Place, layer: str, name: str, how: str) -> Path:
    """Damage the largest file of a table."""
    file = max(_files(place, layer, name), key=lambda one: one.stat().st_size)
    _DAMAGES[how](file)
    return file


def _first_failure(place: Place, run_id: str = "") -> tuple[str, Ended]:
    """Do a night until a step fails; which, and how. It is over then."""
    asked = place.asked(run_id=run_id)
    for step in asked.steps:
        ended = place.do(asked, step)
        if ended.code:
            return step, ended
    raise Wrong("the night went through, over a damaged file")


def _copy_damaged(layer: str, how: str) -> Fault:
    name = f"{layer}.orders"

    def play(course: Course) -> str:
        with course.before() as place:
            before = place.look()
            file = _damage(place, layer, "orders", how)
            step, ended = _first_failure(place, "the night that finds it")
            must_fail(ended, "Damaged", name, str(file), "full_refresh", passing=False)
            must_equal(before, place.look(), ("audit", "lake", "left", "the watermarks"))
            asked = place.asked(full_refresh=True)
            place.go(asked)
            place.go(place.asked("features"))
            must_equal(course.end(), place.look(), _HOW)
        return f"{step} says: Damaged: {name} … {file.name[:13]}…, nothing is published; full_refresh: as undisturbed"

    return Fault(
        f"damage.{layer}-{how}", f"before the night: a file of {name} is {how}",
        "it stops and names layer, table and file; nothing is published; a full refresh heals it", play,
    )  # fmt: skip


def _derived_damaged(name: str, how: str) -> Fault:
    def play(course: Course) -> str:
        with course.before() as place:
            _damage(place, "reporting", name, how)
            finish(place)
            must_equal(_of_tonight(course.end()), _of_tonight(place.look()), _LOOKED_AT)
        return "the night builds the table anew: as undisturbed"

    return Fault(
        f"damage.{name}-{how}", f"before the night: a file of reporting.{name} is {how}",
        "the table is built anew, as if nothing had happened", play,
    )  # fmt: skip


def _of_tonight(state: State) -> State:
    """The same without what the ledger says of the night before: the versions that it names are damaged too."""
    before = (f'of {FIRST}"', '"publication_id": 1,', '"publication_id": 2,')
    return {
        section: [line for line in lines if not any(text in line for text in before)]
        if section in ("audit.builds", "audit.publication_tables")
        else lines
        for section, lines in state.items()
    }


def _input_damaged() -> Fault:
    def play(course: Course) -> str:
        with course.before("nightly", "build orders") as place:
            before = place.look()
            file = _damage(place, "reporting", "order_lines", "garbled")
            ended = place.do(place.asked(), "build orders")
            must_fail(ended, "Damaged", "reporting.order_lines", str(file), passing=False)
            must_equal(before, place.look(), ("lake/reporting/order_lines", "audit"))
            place.go(place.asked(), "build order_lines")
            place.go(place.asked("features"))
            must_equal(_of_tonight(course.end()), _of_tonight(place.look()), _LOOKED_AT)
        return "Damaged: reporting.order_lines …; built again: as undisturbed"

    return Fault(
        "damage.input-garbled", "build orders: a file of its input reporting.order_lines is garbled",
        "it stops and names the file; nothing is made of it; building that table again heals it", play,
    )  # fmt: skip


def _publish_damaged() -> Fault:
    def play(course: Course) -> str:
        with course.before("nightly", "publish") as place:
            before = place.look()
            file = _damage(place, "reporting", "daily_sales", "missing")
            ended = place.do(place.asked(), "publish")
            must_fail(ended, "Damaged", "reporting.daily_sales", str(file), passing=False)
            must_equal(before, place.look(), ("lake/reporting/daily_sales", "audit", "left in Postgres"))
            place.go(place.asked(), "build daily_sales")
            place.go(place.asked("features"))
            must_equal(_of_tonight(course.end()), _of_tonight(place.look()), _LOOKED_AT)
        return "Damaged: reporting.daily_sales …, nothing is published; built again: as undisturbed"

    return Fault(
        "damage.built-missing", "publish: a file of reporting.daily_sales is missing",
        "it stops and names the file; nothing is published; building that table again heals it", play,
    )  # fmt: skip
