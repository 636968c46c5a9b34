"""The page of the matrix: what may be asked after every kind of change, written by this module when it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.changes.kinds import KINDS, Kind

PAGE: Final = Path(__file__).with_name("README.md")

_HEAD: Final = """\
<!-- Written by `make docs`; change what it is written from. -->
# When a declaration changes

The code of a source or a table changes, a shop's folder gains or loses a file, or the time zone moves. The next night
brings lake and warehouse to it by itself; `make plan` says beforehand what it will do. Each line is tested: the night
before, the change, what is asked then, the next night, and beside it a shop that starts anew with the same rows. Both
end with the same rows, columns and keys. `make changes` runs every cell; `make test` and
`make test-long` several of these in one night, and all but full refresh and features after it.

- **Night, full refresh**: the next night, and one with `full_refresh`, end in what a shop started anew has.
- **Features, replay**: asked before that night. They run, or say in one sentence that the night comes first.
- **Republish**: the night before the change is put back. A column that it did not have is null.
- **Training set**: of the features published before the change. A feature that they did not have is null.

| what changes | night | full refresh | features | replay | republish of before | training set of before |
|---|---|---|---|---|---|---|
"""


def page() -> str:
    """The page, in Markdown."""
    return _HEAD + "".join(f"{_line(kind)}\n" for kind in KINDS)


def _line(kind: Kind) -> str:
    before = "runs" if kind.refused is None else "after the night"
    if kind.past:
        past = "refused: of another grain"
    elif kind.gone:
        past = "as it was; a table that is no more stays away"
    else:
        past = "as it was"
    return f"| {kind.name} | as anew | as anew | {before} | {before} | {past} | as it was |"


if __name__ == "__main__":
    PAGE.write_text(page())
