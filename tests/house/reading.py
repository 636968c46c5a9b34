"""The project's own files, as the house rules read them."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Final

from include.settings import ROOT

CODE: Final = ("dags", "include", "plugins", "transforms")
EMPTY: Final = '"""A module."""\n'
_KINDS: Final = (".py", ".md", ".toml", ".txt", ".yaml", ".sql", ".j2", "Makefile", "run", ".example")

Files = Mapping[str, str]  # the text of every file, by path
Check = Callable[[Files], set[str]]  # what it finds wrong
Planted = tuple[str, str, str]  # a file, a text that a check must find in it, and a part of the finding
Rules = Mapping[str, tuple[Check, Sequence[Planted]]]


def violations(rules: Rules) -> dict[str, tuple[Check, Planted]]:
    """Every planted violation, by the name of its rule and what is found."""
    return {f"{name}: {one[2]}": (check, one) for name, (check, planted) in rules.items() for one in planted}


@cache
def tracked(*suffixes: str) -> Files:
    """The files that git knows (or would: untracked and not ignored), by their path below the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    names = [name for name in listed if name.endswith(suffixes or ("",)) and (ROOT / name).is_file()]
    return {name: (ROOT / name).read_text(errors="replace") for name in names}  # a picture has no text


def read_files() -> Files:
    """Those that have rules: code, pages, settings."""
    return tracked(*_KINDS)


def modules(files: Files, *folders: str) -> dict[str, ast.Module]:
    """The parsed Python modules below the folders (all of the code, if none is named), by dotted name."""
    found = {}
    for path, text in files.items():
        if path.endswith(".py") and path.split("/")[0] in (folders or CODE):
            found[path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")] = _parsed(text, path)
    return found


_parsed = cache(ast.parse)


@cache
def imported(module: ast.Module) -> tuple[str, ...]:
    """Every name that is imported anywhere in a module, as dotted as it is known: ``include.contract.Table``."""
    found: list[str] = []
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" if not node.level else "." for alias in node.names]
    return tuple(found)


def within(name: str, prefixes: Iterable[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def rule_of(rules: Mapping[str, tuple[str, ...]], module: str) -> tuple[str, ...] | None:
    """The rule of the longest prefix that names a module."""
    names = [prefix for prefix in rules if within(module, [prefix])]
    return rules[max(names, key=len)] if names else None


@cache
def code(module: ast.Module) -> str:
    """The source without comments and docstrings."""
    bare = ast.parse(ast.unparse(module))
    for node in ast.walk(bare):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(bare)


@cache
def texts(module: ast.Module) -> tuple[str, ...]:
    """Every text in the code of a module, with ``{}`` where a value is filled in."""
    found = []
    for node in ast.walk(ast.parse(code(module))):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return tuple(found)


@cache
def used_of(module: ast.Module, owner: str) -> set[str]:
    """The names that a module uses of another one: imported from it, or read as its attributes."""
    package, _, name = owner.rpartition(".")
    used, aliases = set(), set()
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module == owner:
            used |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == package:
            aliases |= {alias.asname or alias.name for alias in node.names if alias.name == name}
        elif isinstance(node, ast.Import):
            aliases |= {alias.asname or alias.name for alias in node.names if alias.name == owner}
    attributes = [node for node in ast.walk(module) if isinstance(node, ast.Attribute)]
    return used | {node.attr for node in attributes if ast.unparse(node.value) in aliases}


_QUOTES = re.compile(r"\A[rbfu]*['\"]+|['\"]+\Z", re.I)


@cache
def fragments(source: str, most: int) -> tuple[str, ...]:
    """Adjacent texts, joined by the parser alone, of which there are more than so many side by side."""
    found: list[str] = []
    parts, depth, joined = 0, 0, ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        is_text = kind in ("STRING", "FSTRING_START")  # an f-string is one token before Python 3.12, many after
        if depth or is_text:
            parts += is_text and not depth
            joined += "" if kind in ("FSTRING_START", "FSTRING_END") else _QUOTES.sub("", token.string)
        elif kind not in ("NL", "COMMENT"):
            found += [joined] if parts > most else []
            parts, joined = 0, ""
        depth += {"FSTRING_START": 1, "FSTRING_END": -1}.get(kind, 0)
    return tuple(found)
