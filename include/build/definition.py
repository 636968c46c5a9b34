"""What decides a published table's rows beside its inputs, as a fingerprint: with another one it is built in full."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

from include.settings import ROOT, Parameters, settings

_DECIDING: Final = (
    "transforms/**/*.py", "include/contract/*.py", "include/sources/**/*.py", "include/build/incremental.py",
)  # fmt: skip


@cache
def definition() -> str:
    """A fingerprint of the tables' code, of what they and the sources declare, the shop's numbers and its time zone."""
    said = hashlib.sha256()
    for file in sorted(file for files in _DECIDING for file in ROOT.glob(files)):
        said.update(str(file.relative_to(ROOT)).encode())
        said.update(file.read_bytes())
    said.update(Parameters().model_dump_json().encode())
    said.update(settings().timezone.encode())
    return said.hexdigest()
