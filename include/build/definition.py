"""A table's definition: a fingerprint of what decides its rows besides its inputs; a new one means a full build."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from include.build import incremental
from include.contract import Source
from include.contract.code import code_of
from include.settings import settings


def definition(code: str, sources: Iterable[Source]) -> str:
    """A fingerprint of a table's code, of what that code is told about the sources, and of the shop's time zone.

    Args:
        code: a digest of the table's code (``transforms.definition``).
        sources: the sources that it is made from, directly or through other tables.
    """
    fingerprint = hashlib.sha256(f"{code} {settings().timezone}".encode())
    fingerprint.update(code_of(Path(incremental.__file__)).encode())
    for source in sorted(sources, key=lambda one: one.name):
        columns = [(column.lake_name, str(column.type), column.places) for column in source.lake_columns]
        dimensions = [(one.name, one.column) for one in source.dimensions]
        fingerprint.update(repr((source.name, source.begins, dict(source.later), columns, dimensions)).encode())
    return fingerprint.hexdigest()
