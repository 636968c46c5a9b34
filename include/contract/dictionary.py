"""A table's page in the data dictionary, in Markdown."""

from __future__ import annotations

from include.contract.table import Source, Table


def page(table: Table) -> str:
    """The section of one table: grain, columns, rules."""
    lines = [f"## {table.name}", "", " ".join([table.grain, table.doc]).strip(), "", *_facts(table), ""]
    lines += ["| column | type | meaning |", "|---|---|---|"]
    for column in table.columns:
        mark = " 🔑" if column.name in table.primary_key else ""
        kind = f"key of `{column.key_of}`" if column.key_of else column.type.postgres
        lines.append(f"| `{column.name}`{mark} | {kind}{' or null' if column.nullable else ''} | {column.doc} |")
    lines += ["", "| rule | what happens | meaning |", "|---|---|---|"]
    lines += [f"| `{rule.name}` | {rule.severity} | {rule.meaning} |" for rule in table.all_rules]
    return "\n".join(lines) + "\n"


def _facts(table: Table) -> list[str]:
    if isinstance(table, Source):
        limit = f"more than {table.tolerance:.1%} of the rows in quarantine stop the night"
        return [f"Changed rows are found by `{table.watermark}`; {limit}."]
    rebuild = table.rebuild.kind if table.rebuild.column is None else f"{table.rebuild.kind}({table.rebuild.column})"
    return [f"Rebuild: `{rebuild}`."]
