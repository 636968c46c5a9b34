"""House rules, as checks that can fail: every one is first shown a violation and must find it."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from include.sources import SOURCES
from transforms.registry import TABLES

ROOT = Path(__file__).resolve().parent.parent
CODE = ("dags", "include", "plugins", "transforms")
BANNED = {"utils", "util", "helpers", "helper", "common", "misc", "base", "constants", "core", "v1", "v2"}

# What a room of include/ may import of the others: down the flow's list, or sideways, never up.
ROOMS: dict[str, tuple[str, ...]] = {
    "settings": (),
    "contract": (),
    "demo_shop": (),  # the shop knows nothing of who reads it
    "sources": ("contract",),
    "ledger": ("settings", "contract"),
    "lake": ("settings", "contract", "ledger"),
    "build": ("settings", "contract", "ledger", "lake"),
    "gate": ("settings", "contract", "ledger", "lake"),
    "extract": ("settings", "contract", "ledger", "lake", "gate"),
    "audit": ("contract", "ledger", "lake"),
    "training": ("settings", "contract", "sources", "ledger", "lake"),
    "publish": ("settings", "contract", "sources", "ledger", "lake"),
    "serve": ("settings", "sources", "ledger"),
    "pipeline": (
        "settings", "contract", "sources", "ledger", "lake", "build", "gate", "extract", "audit", "training", "publish",
        "serve",
    ),
    "local": ("settings", "sources", "ledger", "extract", "pipeline"),
    "contributing": ("settings", "contract", "sources"),
}  # fmt: skip
# What a module may import of this project, by the longest prefix that names it. Plans (transforms) and rooms (include)
# do not know each other; only the wiring knows both.
MAY_IMPORT = {
    "dags": ("include", "transforms", "dags.steps", "dags.tables"),
    "plugins": ("include",),
    "transforms": ("transforms", "include.contract"),
    "transforms.parameters": ("include.settings",),  # what a shop sees differently, and its tables quote
    "include": (),
    **{f"include.{room}": tuple(f"include.{one}" for one in (room, *below)) for room, below in ROOMS.items()},
}
MAY_IMPORT["include.local"] += ("transforms.registry",)  # it says what the wiring is about to do
MAY_IMPORT["include.training"] += ("transforms.registry",)  # people name feature sets, so it knows which there are
MAY_IMPORT["include.contributing"] += ("transforms.registry",)  # its pages are about the tables
# Nor what else: a transform does no I/O and has no clock; wiring holds no rows, no SQL, no environment.
MAY_NOT_IMPORT = {
    "transforms": ("airflow", "psycopg", "sqlalchemy", "deltalake", "requests", "httpx"),
    "transforms.reporting": ("pandas", "duckdb", "dask", "pyspark", "pyarrow", "datetime", "time", "random", "os"),
    "transforms.features": ("pandas", "duckdb", "dask", "pyspark", "pyarrow", "datetime", "time", "random", "os"),
    "dags": (
        "pandas", "pyarrow", "duckdb", "deltalake", "narwhals", "sqlalchemy", "psycopg", "os", "subprocess",
        "include.contributing",
    ),
    "plugins": ("include.contributing",),
    "include.contract": ("psycopg", "duckdb", "deltalake", "pandas", "os"),
}  # fmt: skip
# The settings; what makes the environment they are read from; the command lines of the shops; and what starts a JVM,
# since Spark looks for Java there and nowhere else.
MAY_READ_ENVIRONMENT = (
    "include.settings", "include.local", "include.demo_shop.__main__", "include.demo_shop.complete_journey.__main__",
    "transforms.engines.spark_engine",
)  # fmt: skip
READS_ENVIRONMENT = re.compile(r"\b(os\.environ|os\.getenv|getenv|environ)\b|BaseSettings|envvar\s*=")
SQL = re.compile(
    r"\b(select|insert\s+into|update|delete\s+from|create\s+table|merge\s+into)\b.+\b(from|set|values|\()", re.I | re.S
)

# Who may write the lake: modules that use one of these functions, each of which commits to a table.
LAKE_WRITES = {
    "include.lake.tables": (
        "append_run", "compact", "empty", "forget_run", "merge", "replace", "replace_run", "replace_slice",
    ),
    "include.lake.merge": ("commit", "commit_slice"),
    "deltalake": ("DeltaTable", "write_deltalake"),
}  # fmt: skip
MAY_WRITE_LAKE = (
    "include.lake.tables",  # the functions themselves
    "include.lake.merge",
    "include.extract.snapshot",  # raw and gone: the landing and its tombstones
    "include.gate.acceptance",  # clean and quarantine
    "include.build.materialize",  # reporting
    "include.pipeline.nightly",  # the slice of a night, of reporting and features
    "include.pipeline.housekeeping",  # compaction, and old runs of the landing
)
# Who may write `audit.*`: the ledger, and the rows that must be in the publication's own transaction.
MAY_WRITE_AUDIT = (
    "include.ledger",
    "include.publish.live", "include.publish.publication", "include.publish.quarantine", "include.publish.restatements",
)  # fmt: skip
WRITES_AUDIT = re.compile(
    r"\b(insert\s+into|update|delete\s+from|merge\s+into|truncate(\s+table)?)\s+(only\s+)?(\w+\.)?audit\.", re.I
)
# SQL of more than three lines is one text. These modules still have some in fragments; the list only gets shorter.
STILL_GLUED = ("include.publish.live",)
MOST_FRAGMENTS = 3

Files = Mapping[str, str]  # the text of every file, by path


def tracked(*suffixes: str) -> Files:
    """The files that git knows (or would: untracked and not ignored), by their path below the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    names = [name for name in listed if name.endswith(suffixes or ("",)) and (ROOT / name).is_file()]
    return {name: (ROOT / name).read_text() for name in names}


def modules(files: Files, *folders: str) -> dict[str, ast.Module]:
    """The parsed Python modules below the folders (all of the code, if none is named), by dotted name."""
    found = {}
    for path, text in files.items():
        if path.endswith(".py") and path.split("/")[0] in (folders or CODE):
            found[path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")] = _parsed(text, path)
    return found


_parsed = cache(ast.parse)


def imported(module: ast.Module) -> Iterator[str]:
    """Every name that is imported anywhere in a module, as dotted as it is known: ``include.contract.Table``."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" if not node.level else "." for alias in node.names)


def within(name: str, prefixes: Iterable[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def rule_of(rules: Mapping[str, tuple[str, ...]], module: str) -> tuple[str, ...] | None:
    """The rule of the longest prefix that names a module."""
    names = [prefix for prefix in rules if within(module, [prefix])]
    return rules[max(names, key=len)] if names else None


def wrong_direction(files: Files) -> set[str]:
    """Imports of this project that point the wrong way, and relative ones."""
    return {
        f"{name} imports {entry}"
        for name, module in modules(files).items()
        for entry in imported(module)
        if entry == "." or (within(entry, (*CODE, "tests")) and not within(entry, rule_of(MAY_IMPORT, name) or ()))
    }


def wrong_company(files: Files) -> set[str]:
    """Imports of libraries that a part of the project has no business with."""
    return {
        f"{name} imports {entry}"
        for name, module in modules(files).items()
        for prefix, libraries in MAY_NOT_IMPORT.items()
        if within(name, [prefix])
        for entry in imported(module)
        if within(entry, libraries)
    }


def environment_readers(files: Files) -> set[str]:
    """Modules that read the environment and may not."""
    return {
        name
        for name, module in modules(files).items()
        if not within(name, MAY_READ_ENVIRONMENT) and READS_ENVIRONMENT.search(_code(module))
    }


@cache
def _code(module: ast.Module) -> str:
    """The source without comments and docstrings."""
    bare = ast.parse(ast.unparse(module))
    for node in ast.walk(bare):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(bare)


@cache
def _texts(module: ast.Module) -> tuple[str, ...]:
    """Every text in the code of a module, with ``{}`` where a value is filled in."""
    found = []
    for node in ast.walk(ast.parse(_code(module))):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return tuple(found)


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


def lake_writers(files: Files) -> set[str]:
    """Modules that commit to a table of the lake."""
    return {
        name
        for name, module in modules(files).items()
        for owner, functions in LAKE_WRITES.items()
        if used_of(module, owner) & set(functions)
    }


def ledger_writers(files: Files) -> set[str]:
    """Modules, and files of SQL, that write ``audit.*``."""
    found = {name for name, module in modules(files).items() if any(map(WRITES_AUDIT.search, _texts(module)))}
    statements = {path: text for path, text in files.items() if path.endswith(".sql") and path.startswith(CODE)}
    return found | {path.replace("/", ".") for path, text in statements.items() if WRITES_AUDIT.search(text)}


def strange_writers(files: Files) -> set[str]:
    """Modules that write the lake or the ledger, and are not among those that may."""
    lake = {f"{name} writes the lake" for name in lake_writers(files) - set(MAY_WRITE_LAKE)}
    return lake | {f"{name} writes audit" for name in ledger_writers(files) if not within(name, MAY_WRITE_AUDIT)}


def glued_sql(files: Files) -> set[str]:
    """Modules of include/ with SQL that is put together from more than three adjacent texts."""
    return {
        path.removesuffix(".py").replace("/", ".")
        for path, text in files.items()
        if path.startswith("include/") and path.endswith(".py") and any(map(SQL.search, _fragments(text)))
    }


_QUOTES = re.compile(r"\A[rbfu]*['\"]+|['\"]+\Z", re.I)


@cache
def _fragments(source: str) -> tuple[str, ...]:
    """Adjacent texts, joined by the parser alone, of which there are more than three side by side."""
    found: list[str] = []
    parts, depth, joined = 0, 0, ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        is_text = kind in ("STRING", "FSTRING_START")  # an f-string is one token before Python 3.12, many after
        if depth or is_text:
            parts += is_text and not depth
            joined += "" if kind in ("FSTRING_START", "FSTRING_END") else _QUOTES.sub("", token.string)
        elif kind not in ("NL", "COMMENT"):
            found += [joined] if parts > MOST_FRAGMENTS else []
            parts, joined = 0, ""
        depth += {"FSTRING_START": 1, "FSTRING_END": -1}.get(kind, 0)
    return tuple(found)


def newly_glued_sql(files: Files) -> set[str]:
    """The same, without the modules that are known to have some."""
    return glued_sql(files) - set(STILL_GLUED)


def untidy_wiring(files: Files) -> set[str]:
    """DAG files with SQL in them, or with more than wiring."""
    found = set()
    for name, module in modules(files, "dags").items():
        texts = [
            node.value for node in ast.walk(module) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        found |= {f"{name} holds SQL" for text in texts[1:] if SQL.search(text)}
        statements = len([line for line in _code(module).splitlines() if line.strip()])
        found |= {f"{name} has {statements} lines"} if statements > 100 else set()
        found |= {
            f"{name} has a {type(node).__name__}" for node in ast.walk(module) if isinstance(node, ast.While | ast.Try)
        }
    return found


def banned_names(files: Files) -> set[str]:
    """Modules and folders whose name says nothing."""
    return {
        path
        for path in files
        if path.endswith(".py")
        for part in Path(path).with_suffix("").parts
        if part in BANNED or set(re.split("[_]", part)) & BANNED
    }


def undocumented(files: Files) -> set[str]:
    """Modules without a docstring, and packages whose docstring does not draw a border."""
    return {
        name for name, module in modules(files, *CODE, "tests").items() if not (ast.get_docstring(module) or "").strip()
    }


def tied_to_a_machine(files: Files) -> set[str]:
    """Files that name a place on somebody's machine, or a registry that is not everybody's."""
    places = re.compile(
        r"(?<![\w.$}])/(?:home|root|Users|work|workspace|mnt)/\w|[A-Z]:\\\\|"
        r"(?:index-url|extra-index-url|find-links|PIP_INDEX_URL|UV_INDEX|UV_DEFAULT_INDEX)\b|"
        r"https?://(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d"
    )
    return {
        f"{path}:{number}: {line.strip()}"
        for path, text in files.items()
        if path != "tests/test_house.py"
        for number, line in enumerate(text.splitlines(), 1)
        if places.search(line)
    }


def misnamed(files: Files) -> set[str]:
    """Tables and sources whose files are not called like them."""
    found = set()
    for name, one in TABLES.items():
        expected = [f"transforms/{one.table.schema}/{name}.py", f"tests/transforms/test_{name}.py"]
        found |= {path for path in expected if path not in files}
        if one.table.name != name:
            found.add(f"{name} declares {one.table.name}")
    stems = {Path(path).stem for path in files if re.fullmatch(r"transforms/(reporting|features)/[a-z]\w*\.py", path)}
    found |= {f"{stem} is in no registry" for stem in stems - set(TABLES)}
    found |= {path for name in SOURCES if (path := f"include/sources/{name}.py") not in files}
    return found


def repeated_rules() -> set[str]:
    """Rules that share their name with another of the same table; a row's reasons could not be told apart."""
    found = set()
    for table in (*SOURCES.values(), *(one.table for one in TABLES.values())):
        names = [rule.name for rule in table.all_rules]
        names += [table.whole.rule] if table.name in SOURCES and (table := SOURCES[table.name]).whole else []
        found |= {f"{table.name}.{name}" for name in names if names.count(name) > 1}
    return found


def broken_links(files: Files) -> set[str]:
    """Links of the two maps, include/README.md and tests/README.md, that lead nowhere."""
    return {
        f"{page} links {link}"
        for page in ("include/README.md", "tests/README.md")
        for link in re.findall(r"\]\(([^)#]+)\)", files[page])
        if not (ROOT / page).parent.joinpath(link).exists()
    }


def unmapped(files: Files) -> set[str]:
    """Rooms that include/README.md does not link, and folders of tests that tests/README.md does not name."""
    rooms = {path.split("/")[1] for path in files if path.startswith("include/") and path.endswith(".py")}
    found = {f"include/{room}" for room in rooms - {"__init__.py"} if f"]({room})" not in files["include/README.md"]}
    folders = {path.split("/")[1] for path in files if re.fullmatch(r"tests/\w+/.*\.py", path)}
    return found | {f"tests/{folder}" for folder in folders if f"`{folder}`" not in files["tests/README.md"]}


EMPTY = '"""A module."""\n'

# Each check, a file that it must find, and (as part of the finding) why.
CHECKS: dict[str, tuple[Callable[[Files], set[str]], list[tuple[str, str, str]]]] = {
    "imports point one way": (
        wrong_direction,
        [
            ("include/extract/snapshot.py", "from transforms.build import build", "imports transforms.build.build"),
            ("include/pipeline/nightly.py", "def late():\n    from dags import nightly", "imports dags.nightly"),
            ("include/ledger/listener.py", "import plugins.stocktake", "include.ledger.listener imports plugins"),
            ("include/ledger/builds.py", "from include.build.incremental import cut", "imports include.build"),
            ("include/lake/merge.py", "from include.gate.selection import keep_touched", "imports include.gate"),
            ("include/gate/acceptance.py", "from include.extract import completeness", "imports include.extract"),
            ("include/audit/balance.py", "from include.publish import live", "imports include.publish.live"),
            ("include/publish/live.py", "from include.pipeline import nightly", "imports include.pipeline.nightly"),
            ("include/contract/table.py", "from include.settings import settings", "include.contract.table imports"),
            ("include/training/sets.py", "from transforms.build import build", "imports transforms.build.build"),
            ("include/sources/orders.py", "from include import lake", "include.sources.orders imports include.lake"),
            ("include/demo_shop/service.py", "from include.settings import settings", "imports include.settings"),
            ("include/attic/boxes.py", "from include import lake", "include.attic.boxes imports include.lake"),
            ("transforms/build.py", "from include import lake", "transforms.build imports include.lake"),
            ("transforms/build.py", "import include", "transforms.build imports include"),
            ("transforms/reporting/orders.py", "from dags.nightly import dag", "imports dags.nightly"),
            ("plugins/stocktake.py", "from transforms.registry import TABLES", "plugins.stocktake imports transforms"),
            ("dags/nightly.py", "import plugins.stocktake", "dags.nightly imports plugins.stocktake"),
            ("include/lake/tables.py", "from tests.conftest import Database", "imports tests.conftest"),
            ("include/lake/tables.py", "from . import duckdb_session", "include.lake.tables imports ."),
            ("include/settings.py", "from include import lake", "include.settings imports include.lake"),
            ("include/local/profile.py", "from include.contributing import pages", "imports include.contributing"),
        ],
    ),
    "every part keeps to its company": (
        wrong_company,
        [
            ("transforms/build.py", "from airflow.sdk import DAG", "transforms.build imports airflow.sdk.DAG"),
            ("transforms/reporting/orders.py", "import pandas as pd", "transforms.reporting.orders imports pandas"),
            ("transforms/features/x.py", "from datetime import datetime", "imports datetime.datetime"),
            ("dags/nightly.py", "def task():\n    import duckdb", "dags.nightly imports duckdb"),
            ("dags/nightly.py", "import os", "dags.nightly imports os"),
            ("dags/nightly.py", "from include.contributing import pages", "dags.nightly imports include.contributing"),
            ("plugins/stocktake.py", "import include.contributing", "plugins.stocktake imports include.contributing"),
            ("include/contract/ddl.py", "import psycopg", "include.contract.ddl imports psycopg"),
        ],
    ),
    "one reader of the environment": (
        environment_readers,
        [
            ("include/lake/tables.py", "import os\nos.environ['X']", "include.lake.tables"),
            ("include/lake/merge.py", "from os import environ\nenviron.get('X')", "include.lake.merge"),
            ("include/publish.py", "import os\nos.getenv('X')", "include.publish"),
            ("dags/nightly.py", "from pydantic_settings import BaseSettings", "dags.nightly"),
            ("include/demo_shop/live.py", "import os\nx = os.environ.get('SHOP')", "include.demo_shop.live"),
        ],
    ),
    "a DAG file is wiring": (
        untidy_wiring,
        [
            ("dags/x.py", f"{EMPTY}q = 'select * from orders'", "dags.x holds SQL"),
            ("dags/x.py", f"{EMPTY}q = '''\ninsert into t\nvalues (1)'''", "dags.x holds SQL"),
            ("dags/x.py", f"{EMPTY}q = f'update t set a = {{1}}'", "dags.x holds SQL"),
            ("dags/x.py", EMPTY + "x = 1\n" * 101, "dags.x has 101 lines"),
            ("dags/x.py", f"{EMPTY}while True: pass", "dags.x has a While"),
        ],
    ),
    "a name says something": (
        banned_names,
        [
            ("include/utils.py", EMPTY, "include/utils.py"),
            ("include/core/lake.py", EMPTY, "include/core/lake.py"),
            ("transforms/reporting/orders_v2.py", EMPTY, "orders_v2"),
            ("tests/test_helpers.py", EMPTY, "test_helpers"),
        ],
    ),
    "every module says what it is": (
        undocumented,
        [
            ("include/lake/tables.py", "x = 1", "include.lake.tables"),
            ("transforms/__init__.py", "", "transforms"),
            ("tests/test_x.py", "# nothing", "tests.test_x"),
            ("plugins/stocktake.py", '"""  """', "plugins.stocktake"),
        ],
    ),
    "nothing is tied to a machine": (
        tied_to_a_machine,
        [
            ("README.md", "cd /home/ann/stocktake", "README.md:1"),
            ("Makefile", "x:\n\t/root/bin/python", "Makefile:2"),
            ("include/lake.py", "LAKE = '/Users/ann/lake'", "include/lake.py:1"),
            ("requirements.txt", "--extra-index-url https://pypi.example.com", "requirements.txt:1"),
            (".ci/run", "curl http://10.1.2.3/simple", ".ci/run:1"),
        ],
    ),
    "the lake and the ledger have few writers": (
        strange_writers,
        [
            ("include/publish/live.py", "from include.lake import tables as t\nt.empty()", "publish.live writes"),
            ("include/audit/sales.py", "from include.lake.tables import empty", "include.audit.sales writes the lake"),
            ("include/serve/page.py", "import include.lake.merge\nx = include.lake.merge.commit", "serve.page writes"),
            ("include/training/sets.py", "from deltalake import write_deltalake", "training.sets writes the lake"),
            ("dags/nightly.py", "from include.lake import merge\nmerge.commit()", "dags.nightly writes the lake"),
            ("include/serve/page.py", "x = f'\\n  insert into\\n audit.runs {1}'", "include.serve.page writes audit"),
            ("include/gate/checks.py", "x = 'update audit.runs set a = 1'", "include.gate.checks writes audit"),
            ("include/lake/tables.py", "x = 'delete ' 'from audit.runs'", "include.lake.tables writes audit"),
            ("include/extract/drift.sql", "delete from only audit.runs", "include.extract.drift.sql writes audit"),
        ],
    ),
    "SQL is one text": (
        newly_glued_sql,
        [
            ("include/audit/sales.py", "q = (\n f'select {x}'\n ', y'\n f' from {x}'\n ' where z')\n", "audit.sales"),
            ("include/lake/merge.py", "f('update t ' 'set a = 1 ' 'where b ' 'and c')\n", "include.lake.merge"),
        ],
    ),
    "a map leads somewhere": (
        broken_links,
        [
            ("include/README.md", "[attic](attic)", "include/README.md links attic"),
            ("tests/README.md", "[x](../include/x.md)", "tests/README.md links ../include/x.md"),
        ],
    ),
    "every room is on a map": (
        unmapped,
        [
            ("include/attic/boxes.py", EMPTY, "include/attic"),
            ("tests/attic/test_boxes.py", EMPTY, "tests/attic"),
        ],
    ),
    "one name everywhere": (
        misnamed,
        [("transforms/reporting/moods.py", EMPTY, "moods is in no registry")],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def files() -> Files:
    return tracked(".py", ".md", ".toml", ".txt", ".yaml", ".sql", ".j2", "Makefile", "run", ".example")


def drawn_arrows(files: Files) -> dict[str, set[str]]:
    """Which other rooms of include/ each room imports."""
    found: dict[str, set[str]] = {}
    for name, module in modules(files, "include").items():
        room = name.split(".")[1] if "." in name else name
        entries = [entry.split(".")[1] for entry in imported(module) if entry.startswith("include.")]
        found.setdefault(room, set()).update(set(entries) - {room})
    return {room: others for room, others in found.items() if room != "include"}


def test_the_rooms_are_the_designed_ones_and_every_arrow_between_them_is_used(files: Files) -> None:
    assert drawn_arrows(files) == {room: set(below) for room, below in ROOMS.items()}


def test_no_arrow_between_rooms_points_up() -> None:
    rooms = list(ROOMS)
    up = [(room, one) for room, below in ROOMS.items() for one in below if rooms.index(one) >= rooms.index(room)]
    assert up == []


def test_those_who_may_write_the_lake_and_the_ledger_do(files: Files) -> None:
    assert lake_writers(files) == set(MAY_WRITE_LAKE)
    writers = ledger_writers(files)
    assert [entry for entry in MAY_WRITE_AUDIT if any(within(name, [entry]) for name in writers)] == [*MAY_WRITE_AUDIT]


def test_the_list_of_modules_with_glued_sql_only_gets_shorter(files: Files) -> None:
    assert glued_sql(files) == set(STILL_GLUED)
    three = "q = 'select a' ' from b' ' where c'\n"
    message = "raise ValueError('one ' 'two ' 'three ' 'four')\n"
    assert glued_sql({"include/x.py": three, "include/y.py": message}) == set()


def test_there_is_something_to_check(files: Files) -> None:
    for folder in (*CODE, "tests"):
        assert any(path.startswith(f"{folder}/") and path.endswith(".py") for path in files), folder
    assert {"Makefile", ".ci/run", "requirements.txt", "include/settings.py", "dags/nightly.py"} <= set(files)
    assert len(modules(files)) > 50
    assert {rule_of(MAY_IMPORT, name) is None for name in modules(files)} == {False}


@pytest.mark.parametrize("check", [check for check, _ in CHECKS.values()], ids=CHECKS)
def test_the_rule_is_kept(files: Files, check: Callable[[Files], set[str]]) -> None:
    assert check(files) == set()


@pytest.mark.parametrize(
    ("check", "path", "text", "finding"),
    [pytest.param(check, *one, id=f"{name}: {one[2]}") for name, (check, planted) in CHECKS.items() for one in planted],
)
def test_a_violation_would_be_found(
    files: Files, check: Callable[[Files], set[str]], path: str, text: str, finding: str
) -> None:
    found = check({**files, path: text})
    assert any(finding in one for one in found), found


@pytest.mark.parametrize("name", TABLES)
def test_a_table_whose_file_or_test_is_called_otherwise_would_be_found(files: Files, name: str) -> None:
    test, file = f"tests/transforms/test_{name}.py", f"transforms/{TABLES[name].table.schema}/{name}.py"
    assert misnamed({path: text for path, text in files.items() if path not in (test, file)}) == {test, file}


def test_a_rule_names_one_rule_of_its_table() -> None:
    assert repeated_rules() == set()


def test_the_top_level_is_the_designed_one() -> None:
    top = {path.split("/")[0] for path in tracked()}
    assert top - {"tests", ".gitignore"} == {
        ".ci", ".env.example", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "README.md",
        "dags", "docker-compose.yaml", "include", "plugins", "pyproject.toml", "requirements.txt", "transforms",
    }  # fmt: skip


def test_plugins_hold_nothing_but_what_airflow_registers(files: Files) -> None:
    for name, module in modules(files, "plugins").items():
        classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
        assert [ast.unparse(base) for one in classes for base in one.bases] == ["AirflowPlugin"], name
        assert not [node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)], name


def test_every_setting_is_explained_where_it_is_set() -> None:
    from include.settings import Parameters, Settings

    example = (ROOT / ".env.example").read_text()
    for name in (*Settings.model_fields, *Parameters.model_fields):
        assert f"STOCKTAKE_{name.upper()}=" in example
