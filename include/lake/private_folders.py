"""The folders of the lake and of the report pages are for their owner: they hold names, addresses and e-mails."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

from include.settings import settings


def keep_private() -> None:
    """Make these folders, and give them the mode of the settings; what lies in them is reached through them alone."""
    for folder in (settings().lake, settings().reports):
        folder.mkdir(parents=True, exist_ok=True)
        _give_mode(folder, int(settings().folder_mode, 8))


def _give_mode(folder: Path, mode: int) -> None:
    # Another user's folder has the mode that they gave it; some file systems have no modes.
    with suppress(OSError):
        if stat.S_IMODE(folder.stat().st_mode) != mode:
            folder.chmod(mode)
