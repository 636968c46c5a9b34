"""The folders of the lake and of the report pages are for their owner: they hold names, addresses and e-mails."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

from include.lake import storage
from include.settings import settings


def keep_private() -> None:
    """Make these folders, and give them the mode of the settings; what lies in them is reached through them alone.

    Who may read an object store is decided there.

    Raises:
        UnusableStorage: when an object store refuses, or there is no such bucket.
        ConnectionError: when it is away.
    """
    for place in (settings().lake, settings().reports):
        if storage.is_url(place):
            storage.check(place)
        else:
            Path(place).mkdir(parents=True, exist_ok=True)
            _give_mode(Path(place), int(settings().folder_mode, 8))


def _give_mode(folder: Path, mode: int) -> None:
    # Another user's folder has the mode that they gave it; some file systems have no modes.
    with suppress(OSError):
        if stat.S_IMODE(folder.stat().st_mode) != mode:
            folder.chmod(mode)
