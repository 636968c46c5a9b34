"""A night begins with ``make map`` where the shop's folder is another than the last one that was checked."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from include.local.machine import say
from include.local.profile import Profile, StandaloneError
from include.settings import ROOT

_FILE = "checked_folder"  # in the shop's state: the digest of the files that were checked last


def check_if_changed(profile: Profile, sources: Path) -> None:
    """Check the folder of a shop of one's own, without a night, if its files are not those of the last check.

    Args:
        profile: the shop's; those that come with the project are checked by its tests.
        sources: the folder.

    Raises:
        StandaloneError: when a night could not run; what is to be mended was printed.
    """
    if profile.comes_along:
        return
    kept, now = profile.state / _FILE, _digest(sources)
    if kept.exists() and kept.read_text() == now:
        return
    say(f"{sources.name} is new, or has changed since it was checked: first what `make map` says")
    # A process of its own, which reads into a lake of its own: settings are read once per process.
    done = subprocess.run([sys.executable, "-m", "include.local", "map"], cwd=ROOT, check=False)
    if done.returncode:
        raise StandaloneError("No night has begun. Mend what is listed above, and look with `make map`.")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(now)


def _digest(folder: Path) -> str:
    """A digest of the files that say how the shop is read, with their names."""
    digest = hashlib.sha256()
    for file in sorted(one for one in folder.iterdir() if one.suffix in (".sql", ".toml")):
        digest.update(f"{file.name}\0{len(file.read_bytes())}\0".encode() + file.read_bytes())
    return digest.hexdigest()
