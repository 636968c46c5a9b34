"""The generated pages are what they are written from, and hold what they should; every link leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pytest

from include.contract import Column, Table, Type
from include.contract.dictionary import page
from include.contract.rules import Condition, between, filled
from include.contributing.pages import PAGES, difference, sources_page, tables_page
from include.settings import ROOT
from include.sources import SOURCES
from transforms.registry import TABLES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_it_is_written_from(name: str) -> None:
    if stale := difference((ROOT / name).read_text(), PAGES[name](), name):
        pytest.fail(f"{name} is stale: run `make docs`\n{stale}", pytrace=False)


def test_a_stale_page_would_be_found() -> None:
    right = tables_page()
    stale = right.replace("One row per order.", "One row per basket.")
    assert "-One row per basket." in difference(stale, right, "x")
    assert "+One row per order." in difference(stale, right, "x")
    assert difference(right, right, "x") == ""


@pytest.mark.parametrize("name", TABLES)
def test_every_table_and_every_column_is_on_its_page(name: str) -> None:
    text, table = tables_page(), TABLES[name].table
    section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert all(f"| `{column.name}`" in section for column in table.columns)
    assert all(f"| `{rule.name}` | {rule.severity} |" in section for rule in table.rules)
    assert all(entry.name in section for entry in TABLES[name].inputs)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_and_every_column_is_on_its_page(name: str) -> None:
    section = sources_page().split(f"\n## {name}\n")[1].split("\n## ")[0]
    source = SOURCES[name]
    assert all(f"| `{column.name}`" in section for column in source.columns)
    assert all(f"| `{one.column.lake_name}`" in section for one in source.all_derived)
    assert all(f"| `{rule.name}` | {rule.severity} |" in section for rule in source.rules)


def test_every_platform_has_a_cell_for_everything_and_it_goes_to_a_source() -> None:
    section = sources_page().split("\n## What other shops call it\n")[1].split("\n## ")[0]
    head, _, *rows = [[cell.strip() for cell in line.split(" | ")] for line in section.splitlines() if line[:1] == "|"]
    assert head[2:] == ["Medusa", "Saleor", "Vendure", "WooCommerce", "Shopify", "Odoo |"]
    assert len(rows) > 15
    for row in rows:
        assert (len(row), all(row)) == (len(head), True), row[0]
        named = re.findall(r"`(\w+)(?:\.(\w+))?`", row[1])
        assert named or re.match("not yet|no column|left out", row[1]), row[0]
        for source, column in named:
            assert column in {"", *(one.name for one in SOURCES[source].columns)}, row[0]


def test_what_would_break_a_markdown_table_does_not() -> None:
    column = Column("visit_id", Type.INTEGER, "Either | or\nboth.")
    rules = (
        between("visit_id", "small", "Less | than 7.", most=6),
        filled("visit_id", "known", "Known.", Condition("visit_id")),
    )
    table = Table("reporting", "visits", "One row per visit.", (column,), ("visit_id",), rules)
    assert r"| `visit_id` **key** | bigint | Either \| or both. |" in page(table)
    assert r"| `small` | quarantine | Less \| than 7. |" in page(table)


BY_HAND = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "include/sources/medusa/README.md")


def anchors(text: str) -> set[str]:
    """What the headings of a page can be linked by."""
    headings = (line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def broken_links(pages: Mapping[str, str]) -> set[str]:
    """Links within the project that lead nowhere: to a file, or to a heading of a page."""
    found = set()
    for name, text in pages.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            if "://" in target:
                continue
            file = (ROOT / name).parent.joinpath(path).resolve() if path else ROOT / name
            inside = str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else ""
            if not file.exists() or (anchor and anchor not in anchors(pages.get(inside, ""))):
                found.add(f"{name}: {target}")
    return found


def all_pages() -> dict[str, str]:
    return {name: (ROOT / name).read_text() for name in (*BY_HAND, *PAGES)}


def test_every_link_leads_somewhere() -> None:
    pages = all_pages()
    assert broken_links(pages) == set()
    planted = "[a](nowhere.md) [b](dags/README.md#no-such) [c](#none) [d](https://example.com) [e](dags/README.md)"
    assert broken_links({**pages, "README.md": planted}) == {
        "README.md: nowhere.md",
        "README.md: dags/README.md#no-such",
        "README.md: #none",
    }


def targets(text: str) -> set[str]:
    return set(re.findall(r"\bmake (?:-s )?([a-z]+(?:-[a-z]+)*)", text))


def test_every_command_of_the_readme_and_of_the_recipes_exists() -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {page: {name for line in commands(all_pages()[page]) for name in targets(line)} for page in BY_HAND}
    assert {"nightly", "ui", "psql", "test", "stop"} <= named["README.md"]
    assert {"table", "check", "docs"} <= named["CONTRIBUTING.md"]
    assert set().union(*named.values()) <= known
    assert targets("make dinner") - known == {"dinner"}


def missing_files(text: str) -> set[str]:
    """Paths in backticks that lead nowhere; one with a <name> to be filled in leads somewhere if its folder does."""
    paths = re.findall(r"`((?:[\w.]+/)+[\w.<>]*)`", text)
    return {path for path in paths if not (ROOT / re.sub(r"[^/]*<.*", "", path)).exists()}


def test_every_file_of_the_recipes_exists() -> None:
    text = all_pages()["CONTRIBUTING.md"]
    assert "`include/audit/sales.py`" in text
    assert missing_files(text) == set()
    assert missing_files("`include/attic/boxes.py` `transforms/<layer>/<table>.py` `attic/<box>.py`") == {
        "include/attic/boxes.py",
        "attic/<box>.py",
    }


def commands(text: str) -> Iterable[str]:
    """What a person is told to type: in fences and between backticks."""
    return [one or other for one, other in re.findall(r"^\$ (.+)$|`(make [^`]+)`", text, re.MULTILINE)]
