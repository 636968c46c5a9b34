"""What may stand in a shop's folder: its files, and the names in them. One that is not known is refused by its name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from include.contract import Source
from include.contract.statement import is_left_out

_READ: Final = (".sql", ".toml")  # a page beside them is the shop's own business
_TOML: Final = ("shop.toml", "keys.toml", "dimensions.toml", "schema.toml")


def check_files(folder: Path, sources: Iterable[str]) -> None:
    """Refuse a file that nothing reads: a source would be absent, or a setting as by default, without a word.

    A name that begins with a dot is an editor's or the system's own, which may come and go.

    Args:
        folder: the shop's folder.
        sources: the names of all sources there are.

    Raises:
        ValueError: naming every such file, and what it may be meant to be.
    """
    known = [*(f"{name}.sql" for name in sources), *_TOML]
    files = sorted(file.name for file in folder.glob("[!.]*") if file.suffix.lower() in _READ)
    if unknown := [f"{name}{_perhaps_file(name, known)}" for name in files if name not in known]:
        what = "is a file" if len(unknown) == 1 else "are files"
        raise ValueError(
            f"{folder}: {'; '.join(unknown)}: {what} that nothing reads. A file is called like its source"
            f" (orders.sql), or is one of {', '.join(_TOML)}; rename or remove it"
        )


def _perhaps_file(name: str, known: Collection[str]) -> str:
    """``perhaps`` of a file: by its stem, since its ending is alike in all."""
    stem, ending = Path(name).stem, Path(name).suffix.lower()
    near = get_close_matches(stem.lower(), [Path(one).stem for one in known if one.endswith(ending)], 1)
    return f": perhaps {near[0]}{ending} is meant" if near else ""


def perhaps(name: str, known: Collection[str]) -> str:
    """``: perhaps orders is meant``, the nearest of the names that are known; empty where none is near."""
    near = get_close_matches(name.lower(), known, 1)
    return f": perhaps {near[0]} is meant" if near else ""


def is_read(folder: Path, source: Source) -> bool:
    """Whether a shop has a source: its file is in the folder, and is filled in where the source is optional."""
    file = folder / f"{source.name}.sql"
    return not is_left_out(source, file.read_text() if file.exists() else None)
