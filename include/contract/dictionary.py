"""A table's page in the data dictionary, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from include.contract.rules import Rule
from include.contract.source import Source
from include.contract.table import Column, Table
from include.contract.types import Type

_REBUILD = {
    "full": "a row may depend on any row of the inputs",
    "by": "a row depends only on rows of the inputs with the same `{column}`",
    "as_of": "one slice a night, by `{column}`; other nights' slices stay",
}


def page(table: Table, made_from: Sequence[str] = (), note: str = "") -> str:
    """The section of one table: grain, origin, columns, rules.

    Args:
        table: a published table or a source.
        made_from: links to the tables it is made from; none for a source.
        note: Markdown paragraphs on how it is computed and where the definitions come from.
    """
    lines = [f"## {table.name}", "", " ".join([table.grain, table.doc]).strip(), ""]
    if note:
        lines += [note.strip(), ""]
    lines += [*_facts(table, made_from), "", *_columns(table.columns, table.primary_key)]
    if isinstance(table, Source):
        lines += _derived(table)
    lines += _rules(table)
    return "\n".join(lines) + "\n"


def _facts(table: Table, made_from: Sequence[str]) -> list[str]:
    facts = [f"- Key: {', '.join(f'`{name}`' for name in table.primary_key)}"]
    if made_from:
        facts.append(f"- Made from: {', '.join(made_from)}")
    if isinstance(table, Source):
        facts.append(f"- Changed rows are found by: `{table.watermark}`")
        facts += [f"- A row exists from: `{table.begins}`"] if table.begins else []
        facts += [
            f"- Known from `{day}` on: {', '.join(f'`{name}`' for name in names)}" for day, names in table.later.items()
        ]
        facts += (
            [f"- Every version is kept of: {', '.join(f'`{name}`' for name in table.history)}"] if table.history else []
        )
        facts += ["- Every row is checked every night, changed or not"] if table.judged_whole else []
        facts += ["- Optional: a shop without it has no rows of it, and all tables"] if table.optional else []
        facts.append(
            f"- Waits for an approval: a night with more than {table.tolerance:.1%} of its rows in quarantine, or with"
            f" more than {table.deletion_tolerance:.1%} of them, or all, gone from the shop"
        )
    else:
        rebuild = table.rebuild
        more = f"; the night's slice is of the day {rebuild.lag_days} days before it" if rebuild.lag_days else ""
        more += "".join(
            f", and on rows of `{name}` with the same `{column}` as these" for name, column in rebuild.shared
        )
        facts.append(f"- Rebuild `{rebuild.kind}`: {_REBUILD[rebuild.kind].format(column=rebuild.column)}{more}")
    return facts


def _columns(columns: Sequence[Column], key: Sequence[str] = ()) -> list[str]:
    lines = ["| column | type | meaning |", "|---|---|---|"]
    for column in columns:
        mark = " **key**" if column.name in key else ""
        kind = f"key of {column.key_of}" if column.key_of else _kind(column)
        owner = f" Part of its row of {column.key_of}: quarantined with it." if column.part_of else ""
        lines.append(f"| `{column.name}`{mark} | {kind}{_null(column)} | {_cell(column.doc)}{owner}{_absent(column)} |")
    return lines


def _derived(source: Source) -> list[str]:
    """What is computed beside the columns before the gate."""
    derived = source.all_derived
    if not derived:
        return []
    lines = ["", "Computed before the gate:", "", "| column | type | meaning | needs |", "|---|---|---|---|"]
    for one in derived:
        needs = ", ".join(f"`{name}`" for name in one.needs if name != source.name)
        lines.append(f"| `{one.column.lake_name}` | {_kind(one.column)} | {_cell(one.column.doc)} | {needs} |")
    return lines


def _rules(table: Table) -> list[str]:
    """The rules that do not follow from the columns."""
    rows = [_rule(rule) for rule in table.rules]
    if isinstance(table, Source) and table.whole:
        rows.append(f"| `{table.whole.rule}` | quarantine | {_cell(table.whole.meaning)} |")
    return ["", "| rule | when broken | meaning |", "|---|---|---|", *rows] if rows else []


def _rule(rule: Rule) -> str:
    return f"| `{rule.name}` | {rule.severity} | {_cell(rule.meaning)} |"


def _kind(column: Column) -> str:
    return "share or mean" if column.type is Type.RATIO else column.postgres


def _null(column: Column) -> str:
    return " or null" if column.nullable else ""


def _absent(column: Column) -> str:
    """What every row has of a column that a shop may leave out."""
    if not column.optional:
        return ""
    return f" May be left out: {'null' if column.default is None else column.default} then."


def _cell(text: str) -> str:
    """Text in a Markdown table: one line, and no bar that ends the cell."""
    return " ".join(text.split()).replace("|", "\\|")
