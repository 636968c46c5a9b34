"""Names, places, docstrings and maps; ``test_rules`` runs the rules."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from include.settings import ROOT
from include.sources import SOURCES
from tests.house.reading import CODE, EMPTY, Files, Rules, modules, read_files, tracked
from transforms.registry import TABLES

BANNED = {"utils", "util", "helpers", "helper", "common", "misc", "base", "constants", "core", "v1", "v2"}


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
        if path != "tests/house/test_layout.py"
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


RULES: Rules = {
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


FILES = read_files()


def test_there_is_something_to_check() -> None:
    for folder in (*CODE, "tests"):
        assert any(path.startswith(f"{folder}/") and path.endswith(".py") for path in FILES), folder
    assert {"Makefile", ".ci/run", "requirements.txt", "include/settings/values.py", "dags/nightly.py"} <= set(FILES)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_whose_file_or_test_is_called_otherwise_would_be_found(name: str) -> None:
    test, file = f"tests/transforms/test_{name}.py", f"transforms/{TABLES[name].table.schema}/{name}.py"
    assert misnamed({path: text for path, text in FILES.items() if path not in (test, file)}) == {test, file}


def test_a_rule_names_one_rule_of_its_table() -> None:
    assert repeated_rules() == set()


def test_the_top_level_is_the_designed_one() -> None:
    top = {path.split("/")[0] for path in tracked()}
    assert top - {"tests", ".dockerignore", ".gitignore"} == {
        ".ci", ".env.example", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "Makefile",
        "README.md", "dags", "docker-compose.yaml", "include", "kubernetes-values.yaml", "plugins", "pyproject.toml",
        "requirements.txt", "transforms",
    }  # fmt: skip


def test_every_setting_is_explained_where_it_is_set() -> None:
    from include.settings import Parameters, Settings

    example = (ROOT / ".env.example").read_text()
    for name in (*Settings.model_fields, *Parameters.model_fields):
        assert f"STOCKTAKE_{name.upper()}=" in example
