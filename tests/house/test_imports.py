"""Who imports whom: rooms point down, each part keeps to its libraries; ``test_rules`` runs the rules."""

from __future__ import annotations

from tests.house.reading import (
    CODE,
    Files,
    Rules,
    imported,
    modules,
    read_files,
    rule_of,
    within,
)

# What a room of include/ may import of the others: down the flow's list, or sideways, never up.
ROOMS: dict[str, tuple[str, ...]] = {
    "settings": (),
    "telemetry": (),
    "contract": (),
    "demo_shop": (),  # the shop knows nothing of who reads it
    "sources": ("contract",),
    "ledger": ("settings", "telemetry", "contract"),
    "lake": ("settings", "telemetry", "contract", "ledger"),
    "build": ("settings", "contract", "ledger", "lake"),
    "gate": ("settings", "contract", "ledger", "lake"),
    "extract": ("settings", "telemetry", "contract", "ledger", "lake", "gate"),
    "audit": ("contract", "ledger", "lake"),
    "training": ("settings", "contract", "sources", "ledger", "lake"),
    "publish": ("settings", "contract", "sources", "ledger", "lake"),
    "serve": ("settings", "contract", "sources", "ledger", "lake"),
    "pipeline": (
        "settings", "telemetry", "contract", "sources", "ledger", "lake", "build", "gate", "extract", "audit",
        "training", "publish", "serve",
    ),
    "lineage": ("settings", "contract", "sources", "ledger", "lake", "extract"),
    "local": ("settings", "contract", "sources", "ledger", "extract", "pipeline"),
    "contributing": ("settings", "contract", "sources", "pipeline"),
}  # fmt: skip
# What a module may import of this project, by the longest prefix that names it. Plans (transforms) and rooms (include)
# do not know each other; only the wiring knows both.
MAY_IMPORT = {
    "dags": ("include", "transforms", "dags.shops", "dags.steps", "dags.tables"),
    "plugins": ("include",),
    "transforms": ("transforms", "include.contract"),
    "transforms.parameters": ("include.settings",),  # what a shop sees differently, and its tables quote
    "include": (),
    **{f"include.{room}": tuple(f"include.{one}" for one in (room, *below)) for room, below in ROOMS.items()},
}
MAY_IMPORT["include.local"] += ("transforms.registry",)  # it says what the wiring is about to do
MAY_IMPORT["include.training"] += ("transforms.registry",)  # people name feature sets, so it knows which there are
# What the API says of a table is its declaration, and of a figure the parameters of its formula.
MAY_IMPORT["include.serve"] += ("transforms.registry", "transforms.parameters")
MAY_IMPORT["include.lineage"] += ("transforms.registry",)  # a task's name is a table's, and its inputs are declared
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


RULES: Rules = {
    "imports point one way": (
        wrong_direction,
        [
            ("include/extract/snapshot.py", "from transforms.build import build", "imports transforms.build.build"),
            ("include/pipeline/nightly.py", "def late():\n    from dags import nightly", "imports dags.nightly"),
            ("include/ledger/listener.py", "import plugins.stocktake", "include.ledger.listener imports plugins"),
            ("include/ledger/builds.py", "from include.build.incremental import find_touched", "imports include.build"),
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
            ("include/settings/lake.py", "from include import lake", "include.settings.lake imports include.lake"),
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
}  # fmt: skip


FILES = read_files()


def drawn_arrows(files: Files) -> dict[str, set[str]]:
    """Which other rooms of include/ each room imports."""
    found: dict[str, set[str]] = {}
    for name, module in modules(files, "include").items():
        room = name.split(".")[1] if "." in name else name
        entries = [entry.split(".")[1] for entry in imported(module) if entry.startswith("include.")]
        found.setdefault(room, set()).update(set(entries) - {room})
    return {room: others for room, others in found.items() if room != "include"}


def test_the_rooms_are_the_designed_ones_and_every_arrow_between_them_is_used() -> None:
    assert drawn_arrows(FILES) == {room: set(below) for room, below in ROOMS.items()}


def test_no_arrow_between_rooms_points_up() -> None:
    rooms = list(ROOMS)
    up = [(room, one) for room, below in ROOMS.items() for one in below if rooms.index(one) >= rooms.index(room)]
    assert up == []


def test_every_module_has_a_rule() -> None:
    assert len(modules(FILES)) > 50
    assert {rule_of(MAY_IMPORT, name) is None for name in modules(FILES)} == {False}
