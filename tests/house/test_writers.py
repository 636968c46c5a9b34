"""Who writes the lake and the ledger, who reads the environment, where SQL stands; ``test_rules`` runs the rules."""

from __future__ import annotations

import ast
import re

from tests.house.reading import (
    CODE,
    EMPTY,
    Files,
    Rules,
    code,
    fragments,
    modules,
    read_files,
    texts,
    used_of,
    within,
)

# The settings; what makes the environment they are read from; the command lines of the shops; what starts a JVM, since
# Spark looks for Java there and nowhere else; and what chooses which of it a server's processes get.
MAY_READ_ENVIRONMENT = (
    "include.settings", "include.local", "include.demo_shop.__main__", "include.demo_shop.complete_journey.__main__",
    "transforms.engines.java", "transforms.engines.spark_server", "transforms.engines.shared_server",
)  # fmt: skip
READS_ENVIRONMENT = re.compile(r"\b(os\.environ|os\.getenv|getenv|environ)\b|BaseSettings|envvar\s*=")
SQL = re.compile(
    r"\b(select|insert\s+into|update|delete\s+from|create\s+table|merge\s+into)\b.+\b(from|set|values|\()", re.I | re.S
)

MOST_FRAGMENTS = 3  # SQL of more than three lines is one text
# Who may write the lake: modules that use one of these functions, each of which commits to a table.
LAKE_WRITES = {
    "include.lake.writes": (
        "append_run", "compact", "empty", "forget_run", "merge", "replace", "replace_run", "replace_slice",
    ),
    "include.lake.merge": ("commit", "commit_slice"),
    "deltalake": ("DeltaTable", "write_deltalake"),
}  # fmt: skip
MAY_WRITE_LAKE = (
    "include.lake.writes",  # the functions themselves
    "include.lake.merge",
    "include.lake.tables",  # opens what others write
    "include.lake.opened",  # opens what others read
    "include.extract.snapshot",  # raw and gone: the landing and its tombstones
    "include.gate.acceptance",  # clean and quarantine
    "include.gate.versions",  # the history of clean
    "include.gate.stock_counts",  # counts of stock, and the movements in clean that are made of them
    "include.build.materialize",  # reporting
    "include.pipeline.table_build",  # the slice of a night, of reporting and features
    "include.pipeline.housekeeping",  # compaction, and old runs of the landing
)
# Who may treat what lies in the lake as a path of this machine: storage's own side of it, what it is that is private, a
# build's scratch, and the one machine that `make` runs on. To all others it may be a URL.
MAY_TAKE_PATHS = (
    "include.lake.folders", "include.lake.private_folders", "include.lake.scratch", "include.local", "include.settings",
)  # fmt: skip
TAKES_PATH = re.compile(
    r"\bPath\(\s*(?:str\(\s*)?(?:settings\(\)\.(?:lake|reports)|(?:storage|lake|tables|handoff)\.\w+\()"
    r"|settings\(\)\.(?:lake|reports)\s*/|\bopen\(\s*(?:storage|lake|handoff)\."
)
# Who may write `audit.*`: the ledger, and the rows that must be in the publication's own transaction.
MAY_WRITE_AUDIT = (
    "include.ledger",
    "include.publish.live", "include.publish.publication", "include.publish.quarantine", "include.publish.restatements",
)  # fmt: skip
WRITES_AUDIT = re.compile(
    r"\b(insert\s+into|update|delete\s+from|merge\s+into|truncate(\s+table)?)\s+(only\s+)?(\w+\.)?audit\.", re.I
)


def environment_readers(files: Files) -> set[str]:
    """Modules that read the environment and may not."""
    return {
        name
        for name, module in modules(files).items()
        if not within(name, MAY_READ_ENVIRONMENT) and READS_ENVIRONMENT.search(code(module))
    }


def lake_writers(files: Files) -> set[str]:
    """Modules that commit to a table of the lake."""
    return {
        name
        for name, module in modules(files).items()
        for owner, functions in LAKE_WRITES.items()
        if used_of(module, owner) & set(functions)
    }


def takers_of_paths(files: Files) -> set[str]:
    """Modules for which a file of the lake is a path, and that may not assume so."""
    found = {name for name, module in modules(files).items() if TAKES_PATH.search(code(module))}
    return {name for name in found if not within(name, MAY_TAKE_PATHS)}


def ledger_writers(files: Files) -> set[str]:
    """Modules, and files of SQL, that write ``audit.*``."""
    found = {name for name, module in modules(files).items() if any(map(WRITES_AUDIT.search, texts(module)))}
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
        if path.startswith("include/")
        and path.endswith(".py")
        and any(map(SQL.search, fragments(text, MOST_FRAGMENTS)))
    }


def untidy_wiring(files: Files) -> set[str]:
    """DAG files with SQL in them, or with more than wiring."""
    found = set()
    for name, module in modules(files, "dags").items():
        strings = [
            node.value for node in ast.walk(module) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        found |= {f"{name} holds SQL" for text in strings[1:] if SQL.search(text)}
        statements = len([line for line in code(module).splitlines() if line.strip()])
        found |= {f"{name} has {statements} lines"} if statements > 100 else set()
        found |= {
            f"{name} has a {type(node).__name__}" for node in ast.walk(module) if isinstance(node, ast.While | ast.Try)
        }
    return found


RULES: Rules = {
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
    "the lake may lie in an object store": (
        takers_of_paths,
        [
            ("include/serve/page.py", "x = Path(settings().reports)", "include.serve.page"),
            ("include/gate/checks.py", "x = Path(handoff.checked_file(run, name)).exists()", "include.gate.checks"),
            ("include/gate/handoff.py", "x = Path(str(lake.folder('a', 'b')))", "include.gate.handoff"),
            ("include/pipeline/one_shop.py", "x = settings().lake / 'shop.json'", "include.pipeline.one_shop"),
            ("include/extract/checksums.py", "x = open(storage.in_lake('sums'))", "include.extract.checksums"),
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
    "the lake and the ledger have few writers": (
        strange_writers,
        [
            ("include/publish/live.py", "from include.lake import writes as w\nw.empty()", "publish.live writes"),
            ("include/audit/sales.py", "from include.lake.writes import empty", "include.audit.sales writes the lake"),
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
        glued_sql,
        [
            ("include/audit/sales.py", "q = (\n f'select {x}'\n ', y'\n f' from {x}'\n ' where z')\n", "audit.sales"),
            ("include/lake/merge.py", "f('update t ' 'set a = 1 ' 'where b ' 'and c')\n", "include.lake.merge"),
        ],
    ),
}  # fmt: skip


FILES = read_files()


def test_those_who_may_write_the_lake_and_the_ledger_do() -> None:
    assert lake_writers(FILES) == set(MAY_WRITE_LAKE)
    writers = ledger_writers(FILES)
    assert [entry for entry in MAY_WRITE_AUDIT if any(within(name, [entry]) for name in writers)] == [*MAY_WRITE_AUDIT]


def test_three_lines_and_a_message_are_no_glued_sql() -> None:
    three = "q = 'select a' ' from b' ' where c'\n"
    message = "raise ValueError('one ' 'two ' 'three ' 'four')\n"
    assert glued_sql({"include/x.py": three, "include/y.py": message}) == set()


def test_plugins_hold_nothing_but_what_airflow_registers() -> None:
    for name, module in modules(FILES, "plugins").items():
        classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
        assert [ast.unparse(base) for one in classes for base in one.bases] == ["AirflowPlugin"], name
        assert not [node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)], name
