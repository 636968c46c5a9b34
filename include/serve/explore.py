"""The pages of the dictionary: every table, source and table of the shop, what it means and where it comes from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

from include.serve import figures
from include.serve.api.models import PublishedTable
from include.serve.api.published import tables_of_shop
from include.serve.api.tables import column_entry, dictionary_entry
from include.serve.lineage import SHOP, Lineage, lineage, relations_of_shop
from include.serve.rendering import template
from include.settings import settings
from include.sources import SOURCES, shop_sources
from transforms.registry import TABLES

_GROUPS: Final = {"reporting": "Reporting tables", "features": "Feature sets"}


def render_explore(home: str) -> str:
    """Every published table, and the lineage of all.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    status = _status()
    entries = [dictionary_entry(table, status.get(name, {})) for name, table in tables_of_shop().items()]
    groups = [
        (title, [entry for entry in entries if entry.name.startswith(f"{schema}.")])
        for schema, title in _GROUPS.items()
    ]
    return template("explore.html.j2", groups=groups, home=home)


def render_table(name: str, home: str) -> str:
    """A published table: its rows, which a script fills in, its dictionary and its lineage.

    Raises:
        KeyError: when there is no such table.
        ConnectionError: when the warehouse cannot be reached.
    """
    table = tables_of_shop()[name]
    entry: PublishedTable = dictionary_entry(table, _status().get(name, {}))
    how = sys.modules[TABLES[table.name].build.__module__].__doc__ or ""
    paragraphs = [" ".join(part.split()) for part in how.split("\n\n")[1:]]  # the first says what the table is
    return template("table.html.j2", table=entry, how=paragraphs, home=home, **_flow(name))


def render_source(name: str, home: str) -> str:
    """A source: its columns and rules, and the statement that reads it of the shop.

    Raises:
        KeyError: when there is no such source.
        ConnectionError: when the warehouse cannot be reached.
    """
    source = shop_sources(settings().sources).get(name) or SOURCES[name]
    file = settings().sources / f"{name}.sql"
    return template(
        "source.html.j2",
        source=source,
        columns=[column_entry(column) for column in source.columns],
        rules=source.all_rules,
        statement=file.read_text(encoding="utf-8") if file.exists() else None,
        counts=figures.counts(name),
        home=home,
        **_flow(f"source.{name}"),
    )


def render_shop_table(name: str, home: str) -> str:
    """A table or view of the shop: the columns that are read of it, and by which sources.

    Raises:
        KeyError: when no source reads such a table.
        ConnectionError: when the warehouse cannot be reached.
    """
    found = [relations[name] for relations in relations_of_shop().values() if name in relations]
    if not found:
        raise KeyError(name)
    return template("shop_table.html.j2", relation=name, columns=found[0], home=home, **_flow(f"{SHOP}{name}"))


def _status() -> Mapping[str, Mapping[str, Any]]:
    return {row["published_table"]: row for row in figures.status()}


def _flow(name: str) -> dict[str, tuple[str, ...]]:
    found: Lineage = lineage(relations_of_shop())
    return {"made_from": found.made_from.get(name, ()), "used_by": found.used_by.get(name, ())}
