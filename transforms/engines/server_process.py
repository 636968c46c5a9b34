"""The process of a server that the tasks of a night share: what starts it, what it waits for, when it ends.

It ends once nobody has used it for so long as its first user asked, or at once when nobody uses it and the session of
its latest user has ended (Airflow was stopped or killed). Nobody has to end it.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

import psutil

from transforms.engines.protocol import spill_prefix
from transforms.engines.shared_server import ServerFolder, is_alive, lock, turn

_LOOK_SECONDS: Final = 0.25
_ALIVE_SECONDS: Final = 5.0  # whoever looks whether a server is alive holds its lock for a moment
_FORGOTTEN_SECONDS: Final = 86_400.0

# Its address, and what says why it no longer runs: None while it does, ``memory`` where that ran out.
Serving: TypeAlias = tuple[Mapping[str, Any], Callable[[], str | None]]
Serve: TypeAlias = Callable[[Mapping[str, Any], Path], AbstractContextManager[Serving]]


def main() -> None:
    """Serve what the first argument asks for, in JSON, until nobody needs it."""
    request = json.loads(sys.argv[1])
    folder = ServerFolder(Path(request["folder"]))
    serve: Serve = importlib.import_module(f"transforms.engines.{request['kind']}_server").serve
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with folder.alive.open("a") as alive:
        deadline = time.monotonic() + _ALIVE_SECONDS
        while not lock(alive, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                return  # another one was started meanwhile
            time.sleep(0.02)
        _forget_others(folder)
        with (
            TemporaryDirectory(prefix=spill_prefix(), ignore_cleanup_errors=True) as scratch,
            serve(request["arguments"], Path(scratch)) as (address, why_ended),
        ):
            _write(folder.address, address)
            _stay(folder, why_ended, request["idle_seconds"])


def _stay(folder: ServerFolder, why_ended: Callable[[], str | None], idle_seconds: float) -> None:
    """Return when the server is not needed any more, and nobody can find it any more."""
    last_used = time.monotonic()
    while not (why := why_ended()):
        now = time.monotonic()
        if _is_used(folder):
            last_used = now
        elif (now - last_used >= idle_seconds or _is_owner_gone(folder)) and _left(folder):
            return
        time.sleep(_LOOK_SECONDS)
    _write(folder.ended, why)


def _is_used(folder: ServerFolder) -> bool:
    with folder.used.open("a") as used:
        return not lock(used, fcntl.LOCK_EX)


def _left(folder: ServerFolder) -> bool:
    """Remove the folder, where nobody has joined meanwhile: who comes now starts another server."""
    with turn(folder, wait=False) as ours:
        if not ours or _is_used(folder):
            return False
        shutil.rmtree(folder.path)
        return True


def _is_owner_gone(folder: ServerFolder) -> bool:
    try:
        owner = json.loads(folder.owner.read_text())
        return owner is not None and psutil.Process(owner[0]).create_time() != owner[1]
    except psutil.NoSuchProcess:
        return True
    except (OSError, ValueError, psutil.Error):  # it is being written
        return False


def _forget_others(folder: ServerFolder) -> None:
    """Remove the folders of servers that were killed long ago."""
    for other in folder.path.parent.iterdir():
        gone = ServerFolder(other)
        if other == folder.path or is_alive(gone) or time.time() - other.stat().st_mtime < _FORGOTTEN_SECONDS:
            continue
        with turn(gone, wait=False) as ours:
            if ours and not is_alive(gone) and not _is_used(gone):
                shutil.rmtree(other, ignore_errors=True)


def _write(file: Path, content: Any) -> None:
    """Write a file that is there whole or not at all, for this user alone."""
    draft = file.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(content))
    draft.replace(file)


if __name__ == "__main__":
    main()
