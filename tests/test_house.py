"""House rules, as checks that can fail: every one is first shown a violation and must find it."""

from __future__ import annotations

import ast
import re
import subprocess
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
    "publish": ("settings", "contract", "sources", "ledger", "lake", "build"),
    "serve": ("settings", "sources", "ledger"),
    "pipeline": (
        "settings", "contract", "sources", "ledger", "lake", "build", "gate", "extract", "audit", "training", "publish",
        "serve",
    ),
    "local": ("settings", "sources", "ledger", "extract"),
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
MAY_IMPORT["include.training"] += ("transforms.registry",)  # people name feature sets, so it knows which there are
# Nor what else: a transform does no I/O and has no clock; wiring holds no rows, no SQL, no environment.
MAY_NOT_IMPORT = {
    "transforms": ("airflow", "psycopg", "sqlalchemy", "deltalake", "requests", "httpx"),
    "transforms.reporting": ("pandas", "duckdb", "dask", "pyspark", "pyarrow", "datetime", "time", "random", "os"),
    "transforms.features": ("pandas", "duckdb", "dask", "pyspark", "pyarrow", "datetime", "time", "random", "os"),
    "dags": ("pandas", "pyarrow", "duckdb", "deltalake", "narwhals", "sqlalchemy", "psycopg", "os", "subprocess"),
    "include.contract": ("psycopg", "duckdb", "deltalake", "pandas", "os"),
}
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


def told(rules: Mapping[str, tuple[str, ...]], module: str) -> tuple[str, ...] | None:
    """The rule of the longest prefix that names a module."""
    names = [prefix for prefix in rules if within(module, [prefix])]
    return rules[max(names, key=len)] if names else None


def wrong_direction(files: Files) -> set[str]:
    """Imports of this project that point the wrong way, and relative ones."""
    return {
        f"{name} imports {entry}"
        for name, module in modules(files).items()
        for entry in imported(module)
        if entry == "." or (within(entry, (*CODE, "tests")) and not within(entry, told(MAY_IMPORT, name) or ()))
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


def test_there_is_something_to_check(files: Files) -> None:
    for folder in (*CODE, "tests"):
        assert any(path.startswith(f"{folder}/") and path.endswith(".py") for path in files), folder
    assert {"Makefile", ".ci/run", "requirements.txt", "include/settings.py", "dags/nightly.py"} <= set(files)
    assert len(modules(files)) > 50
    assert {told(MAY_IMPORT, name) is None for name in modules(files)} == {False}


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
        ".ci", ".env.example", "Makefile", "README.md", "dags", "docker-compose.yaml", "include", "plugins",
        "pyproject.toml", "requirements.txt", "transforms",
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
