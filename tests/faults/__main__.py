"""The crash matrix: ``python -m tests.faults --help``."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from include.local.embedded_postgres import Cluster
from tests.faults.course import Course
from tests.faults.matrix import RED, Outcome, chosen, faults, play_all, told
from tests.faults.place import prepared
from tests.faults.steps import NAMES
from tests.object_server import running
from transforms.registry import TABLES


def main() -> int:
    """Play the rounds that are asked for and print the matrix; 1 if any is red."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", help="names of faults, or how they begin, by comma")
    parser.add_argument("--every", action="store_true", help="at every source and every table, of which all are built")
    parser.add_argument("--at-once", type=int, default=1, help="how many rounds are played at once")
    parser.add_argument("--object-store", action="store_true", help="with the lake in a bucket, not in a folder")
    parser.add_argument("--list", action="store_true", help="list the faults and play none")
    asked = parser.parse_args()
    try:
        some = chosen([name for name in asked.only.split(",") if name], faults(every=asked.every))
    except ValueError as error:
        parser.error(str(error))
    if asked.list:
        sys.stdout.writelines(f"{fault.name:<45} {fault.where}\n" for fault in some)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o755)  # the server's user has to reach its own folder
    cluster = Cluster(folder / "postgres", settings={"fsync": "off", "shared_buffers": "128MB"})
    with ExitStack() as held:
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        held.callback(shutil.rmtree, cluster.home, ignore_errors=True)
        held.callback(cluster.stop)
        cluster.start()
        cluster.provision()
        server = held.enter_context(running(folder / "weed")) if asked.object_store else None
        start = time.monotonic()
        place = held.enter_context(prepared(cluster, folder / "prepared", tuple(TABLES) if asked.every else NAMES))
        _tell(f"prepared a night and a day in {time.monotonic() - start:.0f} s; {len(some)} rounds")
        course = held.enter_context(closing(Course(replace(place, server=server), folder)))
        outcomes = play_all(some, course, asked.at_once, _tell_of)
    sys.stdout.write(f"\n{told(outcomes)}\n")
    return any(one.verdict == RED for one in outcomes)


def _tell_of(outcome: Outcome) -> None:
    _tell(f"{outcome.verdict:<8} {outcome.seconds:4.0f} s  {outcome.fault.name}: {outcome.happened}")


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
