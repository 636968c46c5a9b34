"""The generated pages, and what each is written from: ``make docs`` writes them, ``make check`` finds stale ones."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Collection, Iterable, Mapping
from graphlib import TopologicalSorter
from inspect import getdoc
from sys import modules
from typing import Any

from include.contract.dictionary import page
from include.contract.source import TOLERATED_ROWS
from include.contributing.dag_bag import parsed
from include.pipeline.troubles import TROUBLES
from include.settings import ROOT
from include.sources import SOURCES
from transforms.registry import TABLES, Published, buildable

HEADER = "<!-- Written by `make docs`; change what it is written from. -->\n"
SHOPS = ("demo_shop", "complete_journey", "medusa")


TABLES_HEAD = """\
# The tables that are published

{what}

A table is one file: what it means (`TABLE`) and how it is made (`build`), whose parameters are the tables it is made
from. `build` runs on every engine and gives the same rows, to the last bit.

- `day` and columns that end in `_on` are business days in the shop's time zone; `_at` are instants in UTC.
- Amounts are exact, in units of their row's `currency`; amounts of different currencies are never added. In the lake
  they are whole minor units (cents, in a shop of two decimals), and their columns end in `_cents`.
- Units are whole (`bigint`), unless the shop's folder says how many decimals its quantities have; then they are
  `numeric(18, n)` here, and in the lake whole numbers of the smallest unit: grams.
- A *share or mean* is a `double precision`: one division of two whole numbers.
- A column is null only where it says *or null*, and no two rows share a key: a row that breaks this stops the night
  (of a feature set: the day's features), like one that breaks a rule below.
- Every row carries `_publication_id`, a row of a feature set also `known_at`, when it was published.

{overview}

{restatements}
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
    patience = f"{at_once} at a time, each of at most {_time(dag['dagrun_timeout'])}."
    if dag["starts_from"] or "NullTimetable" in dag["schedule"]:
        assets = [f"`{asset}`" for asset in dag["starts_from"]]
        text = "When somebody triggers it"
        if len(assets) == 1:
            text = f"When something is told of {assets[0]}"
        elif assets:
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


def _time(seconds: float) -> str:
    return f"{seconds / 3600:g} hours" if seconds >= 3600 else f"{seconds / 60:g} minutes"


def _form(dag: Mapping[str, Any]) -> list[str]:
    if not dag["params"]:
        return []
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
        f"Every task belongs to `{owner}`, may take {_time(timeout)}, and is tried again up to {retries} times "
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
    return [*lines, *edges, "```", ""] if edges else []


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
    folder = ROOT / "include" / "sources"
    shops = {name: {file.stem for file in (folder / name).glob("*.sql")} for name in SHOPS}
    return _joined(
        HEADER,
        (folder / "reading.md")
        .read_text()
        .format(
            what=_first_paragraph("include.sources"),
            example=(ROOT / "include/sources/demo_shop/customers.sql").read_text().strip(),
            matrix=_matrix(shops),
            platforms=(folder / "platforms.md").read_text().strip(),
            tolerated=TOLERATED_ROWS,
        ),
        *(page(source) for source in SOURCES.values()),
    )


def _joined(*parts: str) -> str:
    return "\n".join(parts).rstrip() + "\n"


def _matrix(shops: Mapping[str, Collection[str]]) -> str:
    """Which shop has which source, and what is left out without it."""
    head = f"| source | {' | '.join(f'`{name}`' for name in shops)} | tables that are left out without it |"
    lines = [head, "|---" * (len(shops) + 2) + "|"]
    for name, source in SOURCES.items():
        marks = " | ".join("yes" if name in files else "no" for files in shops.values())
        left_out = ", ".join(f"`{table}`" for table in buildable(set(SOURCES) - {name}).left_out) or "none"
        if source.optional:
            left_out = "none: they are built with no rows of it"
        lines.append(f"| [`{name}`](#{name}) | {marks} | {left_out} |")
    return "\n".join(lines)


def tables_page() -> str:
    """transforms/README.md: the dictionary page of every published table."""
    return _joined(
        HEADER,
        TABLES_HEAD.format(
            what=_first_paragraph("transforms"),
            overview=_overview(),
            restatements=(ROOT / "transforms/restatements.md").read_text().strip(),
        ),
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
        else f"[{'versions' if entry.is_versions else 'source'} `{entry.name}`]"
        f"(../include/sources/README.md#{entry.source})"
        for entry in one.inputs
    ]


_TROUBLES = "<!-- What stops a night: written by `make docs` -->"


def troubles_table() -> str:
    """What may go wrong, and what becomes of the run, as a table."""
    rows = [f"| {one.what} | {one.outcome} | {one.then} |" for one in TROUBLES]
    return "\n".join(["| what happens | the run | what to do |", "|---|---|---|", *rows])


def readme() -> str:
    """README.md: written by hand but for one table."""
    before, _, after = (ROOT / "README.md").read_text().partition(_TROUBLES)
    _, _, rest = after.partition(_TROUBLES)
    return f"{before}{_TROUBLES}\n\n{troubles_table()}\n\n{_TROUBLES}{rest}"


PAGES = {
    "README.md": readme,
    "dags/README.md": dags_page,
    "include/sources/README.md": sources_page,
    "transforms/README.md": tables_page,
}


def stale() -> list[str]:
    """What every stale page has and should not, and the other way round, as diffs."""
    diffs = (difference((ROOT / name).read_text(), written(), name) for name, written in PAGES.items())
    return [diff for diff in diffs if diff]


def difference(found: str, right: str, name: str) -> str:
    """What is stale, as a diff; empty when nothing is."""
    before, after = f"{name} as it is", "as `make docs` writes it"
    return "\n".join(difflib.unified_diff(found.splitlines(), right.splitlines(), before, after, lineterm=""))


def write(names: Iterable[str] = ()) -> None:
    """Write pages: those named, else all."""
    for name in names or PAGES:
        (ROOT / name).write_text(PAGES[name]())
