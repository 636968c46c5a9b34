"""A module's code as far as it can decide anything: without comments, docstrings and layout."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def code_of(file: Path) -> str:
    """The code of a Python file; another text means that the file may do something else."""
    module = ast.parse(file.read_text())
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(module)
