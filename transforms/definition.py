"""The code that decides a published table's rows, as a digest: with another one the table is built in full.

It is the table's declaration, the module of its build with every module of this project that it imports, however far,
and the shop's numbers. Comments and docstrings decide nothing and do not count.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from include.contract import Table
from include.contract.code import code_of
from transforms.parameters import PARAMETERS

_ROOT: Final = Path(__file__).resolve().parent.parent
_OURS: Final = ("transforms.", "include.contract")
_RUNS_EVERY_BUILD: Final = _ROOT / "transforms" / "build.py"
_NAMES_EVERY_TABLE: Final = _ROOT / "transforms" / "registry.py"  # what it imports decides the rows of other tables


def code_digest(table: Table, build: Callable[..., Any]) -> str:
    """A digest of what decides the rows that a build makes of its inputs.

    Args:
        table: the declaration.
        build: the function that makes its rows.
    """
    said = hashlib.sha256(repr(table).encode())
    said.update(PARAMETERS.model_dump_json().encode())
    for file in sorted(_closure(Path(inspect.getfile(build)).resolve(), _RUNS_EVERY_BUILD)):
        said.update(code_of(file).encode())
    return said.hexdigest()


def _closure(*files: Path) -> set[Path]:
    """Some files and every file of this project that they import, however far."""
    found, waiting = set[Path](), list(files)
    while waiting:
        file = waiting.pop()
        if file not in found and file != _NAMES_EVERY_TABLE:
            found.add(file)
            waiting += _imported(file)
    return found


@cache
def _imported(file: Path) -> tuple[Path, ...]:
    """The files of the tables' code and of the contracts that a file imports."""
    return tuple(
        path
        for node in ast.walk(ast.parse(file.read_text()))
        for name in _names(node)
        if name.startswith(_OURS) and (path := _file_of(name))
    )


def _names(node: ast.AST) -> Iterator[str]:
    """Every dotted name that an import may mean: of ``from a import b``, ``a`` and ``a.b``."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield f"{node.module}."
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file_of(name: str) -> Path | None:
    """The file of a module or package of this project."""
    path = _ROOT.joinpath(*name.strip(".").split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
