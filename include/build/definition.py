"""What decides a published table's rows beside its inputs, as a fingerprint: with another one it is built in full."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from include.build import incremental
from include.contract import Source
from include.settings import settings


def definition(code: str, sources: Iterable[Source]) -> str:
    """A fingerprint of a table's code, of what it is told of the sources, and of the shop's time zone.

    Args:
        code: a digest of the table's code (``transforms.definition``).
        sources: the sources that it is made from, however far back.
    """
    said = hashlib.sha256(f"{code} {settings().timezone}".encode())
    said.update(Path(incremental.__file__).read_bytes())
    for source in sorted(sources, key=lambda one: one.name):
        columns = [(column.lake_name, str(column.type)) for column in source.lake_columns]
        said.update(repr((source.name, source.begins, dict(source.later), columns)).encode())
    return said.hexdigest()
