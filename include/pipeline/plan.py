"""What the next night will do to lake and warehouse because declarations changed; asking changes nothing.

Belongs here: putting together what the rooms know. Does not: deciding it. A night reads anew, builds in full and alters
by the very functions that are asked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import TupleRow

from include.build.definition import definition
from include.contract import ContractError, Source, Table
from include.contract.definition import Changes
from include.extract import sql_files
from include.ledger import builds, copies
from include.ledger.connection import connect
from include.ledger.migrations import pending
from include.pipeline.declarations import changed_definitions, typed
from include.pipeline.one_shop import other_decimals
from include.publish import live_schema
from include.settings import settings
from include.sources import lake_sources, shop_sources


@dataclass(frozen=True)
class Known:
    """A published table as the registry knows it.

    Attributes:
        table: its declaration.
        sources: the sources it is made from, directly or through other tables.
        left_out: why this shop has no such table; None where it has.
        code: a digest of the code that decides its rows.
    """

    table: Table
    sources: frozenset[str]
    left_out: str | None
    code: str


@dataclass(frozen=True)
class Plan:
    """What the next night will do beyond following what changed in the shop.

    Attributes:
        sources: by source, what happens to its copy.
        lake: by table, how it is built.
        warehouse: by table, the statements that alter it.
        refused: why the night will refuse to begin; None where it will not.
        first: whether nothing has been published yet: then everything is read and built.
        migrations: what is applied to the ledger first; what of sources and lake is done anew is not known before.
    """

    sources: Mapping[str, str]
    lake: Mapping[str, str]
    warehouse: Mapping[str, Sequence[str]]
    refused: str | None = None
    first: bool = False
    migrations: Sequence[str] = ()

    def __str__(self) -> str:
        """The plan as a page of text."""
        if self.first:
            return "Nothing is published yet: the next night reads every source and builds every table."
        migrations = (
            f"Ledger: the migrations {', '.join(self.migrations)} are applied first. Copies and tables whose definition"
            " it does not know then are read and built in full."
        )
        parts = [
            migrations if self.migrations else "",
            _listed("Sources", self.sources),
            _listed("Tables in the lake", self.lake),
            _listed("Tables in the warehouse", {name: "; ".join(said) for name, said in self.warehouse.items()}),
            f"Refused: {self.refused}" if self.refused else "",
        ]
        return "\n\n".join(part for part in parts if part) or (
            "Nothing is declared otherwise than when the last night ran: the next one follows what changed in the shop."
        )


def plan(tables: Iterable[Known]) -> Plan:
    """Find out what the next night will do.

    Args:
        tables: every table there is.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    known, sources = list(tables), shop_sources(settings().sources)
    with connect() as warehouse:
        warehouse.execute("set transaction read only")
        if not _has_ledger(warehouse):
            return Plan({}, {}, {}, first=True)
        if waiting := pending(warehouse):
            altered, refused = _of_warehouse(warehouse, known)
            return Plan({}, {}, altered, refused, migrations=waiting)
    if copies.newest_copy() is None:
        return Plan({}, {}, {}, first=True)
    _, changes = changed_definitions(sources, sql_files.statements(sources.values()))
    here = [one for one in known if one.left_out is None]
    with connect() as warehouse:
        warehouse.execute("set transaction read only")
        altered, refused = _of_warehouse(warehouse, known)
    in_lake = lake_sources(settings().sources)
    return Plan(_of_sources(in_lake, changes), _of_lake(here, in_lake), altered, refused or other_decimals())


def _of_sources(sources: Mapping[str, Source], changes: Mapping[str, Changes]) -> dict[str, str]:
    """What happens to the copy of every source whose declaration is another one, that appears or that vanishes."""
    rows, said = copies.rows_of_copy(), {}
    for name, source in sources.items():
        if name not in rows:
            said[name] = "is new: its state is counted every night" if source.counted else "is new: all of it is read"
        elif name in changes:
            what = "read" if changes[name].read else "checked"
            said[name] = f"all {rows[name]:,} rows are {what} anew: {', '.join(changes[name].all)}"
    return said | {name: "is in the shop's folder no more" for name in rows if name not in sources}


def _of_lake(tables: Iterable[Known], sources: Mapping[str, Source]) -> dict[str, str]:
    """How the tables are built that are not simply brought up to date."""
    said = {}
    for one in tables:
        built = builds.last_definition(one.table)
        if built is None:
            said[one.table.qualified_name] = "is new: built in full"
        elif built != definition(one.code, [sources[name] for name in one.sources]):
            said[one.table.qualified_name] = (
                "the next slice is built by another definition"
                if one.table.rebuild.kind == "as_of"
                else "built in full: its definition is another one"
            )
    return said


def _of_warehouse(
    warehouse: psycopg.Connection[TupleRow], known: Sequence[Known]
) -> tuple[dict[str, list[str]], str | None]:
    """What is altered, by table, and why that is refused."""
    here = {table.qualified_name: table for table in typed(one.table for one in known if one.left_out is None)}
    declared = {one.table.qualified_name for one in known}
    gone = [name for name in live_schema.published_tables(warehouse) if name not in here]
    altered = {name: live_schema.difference(warehouse, table).sentences for name, table in here.items()}
    altered |= {name: ["drop table" if name in declared else "drop table: it is declared no more"] for name in gone}
    try:
        live_schema.refuse_breaking(warehouse, here.values(), gone)
    except ContractError as error:
        return {name: said for name, said in altered.items() if said}, str(error)
    return {name: said for name, said in altered.items() if said}, None


def _has_ledger(warehouse: psycopg.Connection[TupleRow]) -> bool:
    row = warehouse.execute("select to_regclass('audit.publications') is not null").fetchone()
    return bool(row and row[0])


def _listed(head: str, entries: Mapping[str, str]) -> str:
    if not entries:
        return ""
    width = max(map(len, entries))
    return "\n".join([head, *(f"  {name.ljust(width)}  {text}" for name, text in entries.items())])
