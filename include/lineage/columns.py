"""Which columns a column is made of, as far as it is declared.

Of a source: what its .sql file selects, which OpenLineage's own parser of SQL reads. Of a derived column: the SQL that
derives it. Of a published table: its key columns, whose source is declared; what a build computes besides is Python,
which names its input tables and not their columns. What no parser understands is left out; the tables are told anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache

from openlineage_sql import parse

from include.contract import Source, Table
from include.extract import sql_files
from include.lineage.datasets import Origins, in_lake, in_shop


def of_source(source: Source) -> tuple[list[str], Origins]:
    """The shop's tables that a source is read from, and per column of it in lake/raw, their columns."""
    if sql_files.is_absent(source):
        return [], {}
    tables, found = _parsed(sql_files.shop_sql(source, sql_files.EVERYTHING))
    names = {column.name: column.lake_name for column in source.columns}
    return list(tables), {
        names[name]: [(in_shop(table), column) for table, column in columns]
        for name, columns in found.items()
        if name in names
    }


@lru_cache(maxsize=64)
def _parsed(statement: str) -> tuple[tuple[str, ...], Mapping[str, list[tuple[str, str]]]]:
    """The tables that a statement reads, and per column that it selects, (table, column) of them."""
    known = parse([statement], dialect="postgres", default_schema="public")
    if known is None:
        return (), {}
    found = {
        one.descendant.name: sorted((str(origin.origin), origin.name) for origin in one.lineage if origin.origin)
        for one in known.column_lineage
    }
    return tuple(sorted(str(table) for table in known.in_tables)), found


def of_accepted(source: Source) -> Origins:
    """Per column of a source in lake/clean, those of lake/raw: itself, or those of the row that derive it."""
    raw = in_lake("raw", source.name)
    own = {column.lake_name for column in source.columns}
    derived = {
        one.column.lake_name: [(raw, name) for name in sorted(one.own_columns & own)] for one in source.all_derived
    }
    return {name: [(raw, name)] for name in own} | derived


def of_built(table: Table, inputs: Collection[tuple[str, str]], sources: Mapping[str, Source]) -> Origins:
    """Per key column of a published table, the source's key, where it is built from that source directly.

    Args:
        table: the table.
        inputs: layer and name of what it is built from.
        sources: what is in lake/clean.
    """
    return {
        column.lake_name: [(in_lake("clean", column.key_of), sources[column.key_of][column.owner_key].lake_name)]
        for column in table.columns
        if column.key_of and ("clean", column.key_of) in inputs and column.key_of in sources
    }


def of_published(table: Table) -> Origins:
    """Per column of a table in the warehouse, the lake's: other types, and an amount has another name."""
    return {column.name: [(in_lake(table.schema, table.name), column.lake_name)] for column in table.columns}
