"""The generated pages: written by ``make docs`` (this file, run as a program), and stale ones are found here."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from inspect import getdoc
from pathlib import Path
from sys import modules
from typing import Any

import pytest

from include.contract import Column, Table, Type
from include.contract.dictionary import page
from include.contract.rules import Condition, between, filled
from include.contract.table import TOLERATED_ROWS
from include.sources import SOURCES, shop_sources
from tests.dags.bag import ROOT, parsed
from transforms.registry import TABLES, Published, buildable

HEADER = "<!-- Written by `make docs`; change what it is written from. -->\n"
SHOPS = ("demo_shop", "complete_journey")

DAGS_HEAD = """\
Wiring only: what a task does is in [include/](../include), what a table is made of in [transforms/](../transforms).
Airflow shows each run-book beside its DAG.
"""

SOURCES_HEAD = """\
# The sources: what is read of a shop

{what}

## Read another shop

A shop is a folder of SQL, one file per source, named by `STOCKTAKE_SOURCES`; nothing else changes. Each file is one
Postgres statement that gives the columns of the source's page below, by name and in any type that casts to theirs
(`demo_shop/customers.sql`):

```sql
{example}
```

- `:changed_since` is bound to an instant: the shop's clock at the last published night's snapshot, less an hour
  (`STOCKTAKE_OVERLAP_MINUTES`); on a full refresh to `-infinity`. A row without the instant should always be read, so
  that the gate can see it.
- A value that the lake cannot hold unchanged (NaN, infinity, a fraction of a cent) is not rounded: the row is
  quarantined as not `readable`, with the value as it was.
- A column that the shop has no data for is `null as …`, if its page says *or null*.
- Keys are integers unless the folder has a `keys.toml` that says `text` or `uuid`, such as `orders = "uuid"`.
- The shop's tables must stay what they are. `make schema` writes what the files read (columns, types, enum labels,
  keys, foreign keys) into the folder's `schema.toml`; every night compares by one query of the shop's catalogue, before
  it writes anything. A column that is new, or a numeric that holds more digits, is recorded and ignored; what is gone,
  renamed or of another type stops the night. Without the file, what the first night found is expected. A change that is
  meant is accepted by `make schema`; a key that is missing on purpose by naming it in its table's comment:
  `[set aside: key (order_id)]`.
- A source without a file is absent: the tables that need it are left out, and `reporting.data_status` says so.
- A file that is called like no source stops everything, before anything is read.

{matrix}

## At the gate

Every rule has a name, which is what the quarantine and the report show. A broken rule does one of three things:
`quarantine` keeps the row aside with every reason, `stop` publishes nothing tonight, `warn` is recorded. A null breaks
no rule but those that say so. A row in quarantine is judged again every night, and flows in when it is sound. With more
of a source in quarantine than is tolerated, a night waits for an operator's approval; up to {tolerated} always are.

Four kinds of rule follow from the columns of any source and are not repeated below, each with severity `quarantine`:
`readable`; `one_row_per_key`; `<column>_filled` for every column that is not *or null*; and `<source>_exists` for every
key of another source, if the shop has that source.
"""

TABLES_HEAD = """\
# The tables that are published

{what}

A table is one file: what it means (`TABLE`) and how it is made (`build`), whose parameters are the tables it is made
from. `build` runs on every engine and gives the same rows, to the last bit.

- `day` and columns that end in `_on` are business days in the shop's time zone; `_at` are instants in UTC.
- Amounts are exact, in units of their row's `currency`; amounts of different currencies are never added. In the lake
  they are whole cents, and their columns end in `_cents`.
- A *share or mean* is a `double precision`: one division of two whole numbers.
- A column is null only where it says *or null*, and no two rows share a key: a row that breaks this stops the night
  (of a feature set: the day's features), like one that breaks a rule below.
- Every row carries `_publication_id`, a row of a feature set also `known_at`, when it was published.

{overview}
"""


def dags_page() -> str:
    """dags/README.md: every DAG's run-book, schedule, form and graph."""
    bag = parsed()["dags"]
    parts = [
        HEADER,
        "# The DAGs",
        "",
        "Wiring only: what a task does is in [include/](../include), what a table is made",
    ]
    parts += ["of in [transforms/](../transforms). Airflow shows each run-book beside its DAG.", ""]
    for name, dag in bag.items():
        parts += [_demoted(dag["doc_md"]), *_schedule(name, dag), *_form(dag), *_patience(dag), *_graph(dag)]
    return "\n".join(parts).rstrip() + "\n"


def _first_paragraph(module: str) -> str:
    return (getdoc(modules[module]) or "").split("\n\n")[0]


def _demoted(markdown: str) -> str:
    """A run-book as a section: its headings one level down."""
    return re.sub(r"^#", "##", markdown.strip(), flags=re.MULTILINE) + "\n"


def _schedule(name: str, dag: Mapping[str, Any]) -> list[str]:
    at_once = "one run" if dag["max_active_runs"] == 1 else f"{dag['max_active_runs']} runs"
    patience = f"{at_once} at a time, each of at most {dag['dagrun_timeout'] / 3600:g} hours."
    if dag["starts_from"] or "NullTimetable" in dag["schedule"]:
        assets = [f"`{asset}`" for asset in dag["starts_from"]]
        text = "When somebody triggers it"
        if assets:
            text = f"When {', '.join(assets[:-1])} and {assets[-1]} are published for a day, which is its partition key"
        text = f"{text}; {patience}"
        return [f"### {name}: schedule and form", "", *textwrap.wrap(text, 120), ""]
    found = dict(re.findall(r"(expression|run_offset|key_format)='?([^',)]+)", dag["schedule"]))
    if "run_offset" not in found:
        text = f"At `{found['expression']}` in `STOCKTAKE_TIMEZONE`; {patience}"
        return [f"### {name}: schedule and form", "", *textwrap.wrap(text, 120), ""]
    day = {"-1": "the day before", "0": "that day"}[found["run_offset"]]
    text = (
        f"At `{found['expression']}` in `STOCKTAKE_TIMEZONE`, for {day}, which is its partition key "
        f"(`{found['key_format']}`); {patience} "
        f"{'Missed days are caught up.' if dag['catchup'] else 'Missed days are not caught up: backfill them.'}"
    )
    return [f"### {name}: schedule and form", "", *textwrap.wrap(text, 120), ""]


def _form(dag: Mapping[str, Any]) -> list[str]:
    lines = ["| parameter | default | takes | what it means |", "|---|---|---|---|"]
    for name, param in dag["params"].items():
        schema = param["schema"]
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        takes = " or ".join(f"`{one}`" for one in schema.get("enum", ())) or " or ".join(
            schema.get("format", one) if one == "string" else one for one in reversed(kinds)
        )
        default = "none" if "null" in kinds else "to be given"
        if param["default"] is not None:
            default = f"`{str(param['default']).lower() if isinstance(param['default'], bool) else param['default']}`"
        lines.append(f"| `{name}` | {default} | {takes} | {param['description']} |")
    return [*lines, ""]


def _patience(dag: Mapping[str, Any]) -> list[str]:
    """One sentence, as long as every task is as patient as the others, but for those that wait for a person."""
    names = ("owner", "execution_timeout", "retries", "retry_delay", "retry_exponential_backoff", "max_retry_delay")
    [(owner, timeout, retries, delay, factor, most)] = {
        tuple(one[name] for name in names) for one in dag["tasks"].values() if one["operator"] != "Approval"
    }
    text = (
        f"Every task belongs to `{owner}`, may take {timeout / 3600:g} hours, and is tried again up to {retries} times "
        f"where trouble may pass (a server away, a connection broken), after {delay:g} s, then {factor:g} times "
        f"as long each time, {most / 60:g} minutes at most. Anything else fails at once."
    )
    return [*textwrap.wrap(text, 120), ""]


def _graph(dag: Mapping[str, Any]) -> list[str]:
    """The tasks, groups as boxes; edges that enter or leave a group are drawn to the box."""
    tasks = dag["tasks"]
    groups: dict[str, list[str]] = {}
    for task in tasks:
        groups.setdefault(task.rpartition(".")[0], []).append(task)
    lines = ["```mermaid", "flowchart LR"]
    for group, members in groups.items():
        if group:
            nodes = (f"        {_node(one)}[{one.rpartition('.')[2]}]" for one in members)
            lines += [f"    subgraph {group}", *nodes, "    end"]
    edges: dict[str, None] = {}  # each once, in order
    for one in _from_the_start(tasks):
        for other in tasks[one]["downstream"]:
            left, right = one.rpartition(".")[0], other.rpartition(".")[0]
            same = left == right
            edge = f"{_node(one if same else left or one)} --> {_node(other if same else right or other)}"
            edges[f"    {edge}"] = None
    return [*lines, *edges, "```", ""]


def _node(task: str) -> str:
    return task.replace(".", "_")


def _from_the_start(tasks: Mapping[str, Any]) -> list[str]:
    """The tasks in the order in which they may run; by name where that leaves a choice."""
    needs = {name: {other for other in tasks if name in tasks[other]["downstream"]} for name in tasks}
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    ordered = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered += ready
        sorter.done(*ready)
    return ordered


def sources_page() -> str:
    """include/sources/README.md: how a shop is read, and the dictionary page of every source."""
    shops = {name: shop_sources(ROOT / "include" / "sources" / name) for name in SHOPS}
    return _joined(
        HEADER,
        SOURCES_HEAD.format(
            what=_first_paragraph("include.sources"),
            example=(ROOT / "include/sources/demo_shop/customers.sql").read_text().strip(),
            matrix=_matrix(shops),
            tolerated=TOLERATED_ROWS,
        ),
        *(page(source) for source in SOURCES.values()),
    )


def _joined(*parts: str) -> str:
    return "\n".join(parts).rstrip() + "\n"


def _matrix(shops: Mapping[str, Mapping[str, Any]]) -> str:
    """Which shop has which source, and what is left out without it."""
    head = f"| source | {' | '.join(f'`{name}`' for name in shops)} | tables that are left out without it |"
    lines = [head, "|---" * (len(shops) + 2) + "|"]
    for name in SOURCES:
        marks = " | ".join("yes" if name in shop else "no" for shop in shops.values())
        left_out = ", ".join(f"`{table}`" for table in buildable(set(SOURCES) - {name}).left_out) or "none"
        lines.append(f"| [`{name}`](#{name}) | {marks} | {left_out} |")
    return "\n".join(lines)


def tables_page() -> str:
    """transforms/README.md: the dictionary page of every published table."""
    return _joined(
        HEADER,
        TABLES_HEAD.format(what=_first_paragraph("transforms"), overview=_overview()),
        *(page(one.table, _made_from(one), _note(one)) for one in TABLES.values()),
    )


def _note(one: Published) -> str:
    """What the module says beyond its first line: formulas and where they come from."""
    doc = (modules[one.build.__module__].__doc__ or "").strip()
    return "\n".join(doc.split("\n")[1:]).replace("``", "`")


def _overview() -> str:
    rows = [f"| [`{one.table.qualified_name}`](#{name}) | {one.table.grain} |" for name, one in TABLES.items()]
    return "\n".join(["| table | |", "|---|---|", *rows])


def _made_from(one: Published) -> list[str]:
    return [
        f"[`{TABLES[entry.name].table.qualified_name}`](#{entry.name})"
        if entry.is_published
        else f"[source `{entry.name}`](../include/sources/README.md#{entry.name})"
        for entry in one.inputs
    ]


PAGES = {
    "dags/README.md": dags_page,
    "include/sources/README.md": sources_page,
    "transforms/README.md": tables_page,
}


def difference(found: str, right: str, name: str) -> str:
    """What is stale, as a diff; empty when nothing is."""
    before, after = f"{name} as it is", "as `make docs` writes it"
    return "\n".join(difflib.unified_diff(found.splitlines(), right.splitlines(), before, after, lineterm=""))


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


def test_what_would_break_a_markdown_table_does_not() -> None:
    column = Column("visit_id", Type.INTEGER, "Either | or\nboth.")
    rules = (
        between("visit_id", "small", "Less | than 7.", most=6),
        filled("visit_id", "known", "Known.", Condition("visit_id")),
    )
    table = Table("reporting", "visits", "One row per visit.", (column,), ("visit_id",), rules)
    assert r"| `visit_id` **key** | bigint | Either \| or both. |" in page(table)
    assert r"| `small` | quarantine | Less \| than 7. |" in page(table)


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
    return {name: (ROOT / name).read_text() for name in ("README.md", *PAGES)}


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
    return set(re.findall(r"\bmake (?:-s )?([a-z]+)", text))


def test_every_command_of_the_readme_exists() -> None:
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for line in commands(all_pages()["README.md"]) for name in targets(line)}
    assert {"nightly", "ui", "psql", "test", "stop"} <= named
    assert named <= known
    assert targets("make dinner") - known == {"dinner"}


def commands(text: str) -> Iterable[str]:
    """What a person is told to type: in fences and between backticks."""
    return [one or other for one, other in re.findall(r"^\$ (.+)$|`(make [^`]+)`", text, re.MULTILINE)]


def write() -> None:
    """Write every page."""
    for name, written in PAGES.items():
        (ROOT / name).write_text(written())


if __name__ == "__main__":
    assert Path.cwd() == ROOT, "run it from the root: make docs"
    write()
