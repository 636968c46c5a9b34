"""The folder of a new shop: a file for every source, filled in as far as the shop's own catalogue gives it away.

What could not be guessed is said in the file, and by ``make map``.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from pydantic import SecretStr

from include.contract import Column, Source, Type
from include.extract.reading import cast_of, is_text, what_to_write
from include.ledger.logins import why_no_connection
from include.pipeline.guesses import ShopTable, catalogue, guess_columns, guess_tables
from include.sources import SOURCES
from include.sources.dimensions import FILE as DIMENSIONS
from include.sources.reserved_words import RESERVED_WORDS

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")


class FolderTaken(ValueError):
    """There is such a folder already; nothing in it is changed."""


# A file with nothing but comments declares nothing.
_NO_DIMENSIONS: Final = """\
# What sales are grouped by beside the channel, in reporting.daily_sales_by: a store, a country, a customer group.
# include/sources/README.md says what may stand here, such as:
#
# [store]
# source = "orders"
# column = "store_id"
# meaning = "The store that sold it."
"""


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        folder: the new folder.
        read_from: by source, the table of the shop that it was guessed to be.
        not_found: the sources for which no table was found.
    """

    folder: Path
    read_from: Mapping[str, str]
    not_found: Sequence[str]


def write_shop(folder: Path, url: SecretStr | None, timezone: str) -> Written:
    """Write the folder of a new shop.

    Args:
        folder: it; there must be none yet.
        url: the shop's database; without it nothing is guessed.
        timezone: the zone in which the shop writes times that have none.

    Raises:
        ConnectionError: when the shop cannot be reached; the message never holds the password.
        FolderTaken: when there is such a folder.
    """
    if folder.exists():
        raise FolderTaken(f"{folder.name}: there is such a folder already, and it is not overwritten")
    tables = guess_tables(_tables(url), SOURCES) if url else {}
    columns = {name: guess_columns(source, tables) for name, source in SOURCES.items() if name in tables}
    kinds = _key_kinds(tables, columns)
    folder.mkdir()
    for name, source in SOURCES.items():
        found = tables.get(name)
        text = _filled(source.typed(kinds), found, columns[name], timezone) if found else _empty(source)
        (folder / f"{name}.sql").write_text(text)
    if kinds:
        (folder / "keys.toml").write_text("".join(f'{name} = "{kind}"\n' for name, kind in kinds.items()))
    (folder / DIMENSIONS).write_text(_NO_DIMENSIONS)
    read_from = {name: f"{table.schema}.{table.name}" for name, table in tables.items()}
    return Written(folder, read_from, [name for name in SOURCES if name not in tables])


def _tables(url: SecretStr) -> list[ShopTable]:
    try:
        with psycopg.connect(url.get_secret_value(), connect_timeout=10, client_encoding="UTF8") as shop:
            shop.execute("set transaction read only")
            return catalogue(shop)
    except psycopg.OperationalError as error:
        why = why_no_connection(url.get_secret_value(), error)
        raise ConnectionError(f"no connection to the shop: {why}") from None


def _key_kinds(tables: Mapping[str, ShopTable], columns: Mapping[str, Mapping[str, str]]) -> dict[str, Type]:
    """The keys that are no whole numbers, by source."""
    kinds = {}
    for name, source in SOURCES.items():
        column = columns.get(name, {}).get(source.primary_key[0])
        if column and len(source.primary_key) == 1:
            found = tables[name].columns[column]
            if found == "uuid" or is_text(found):
                kinds[name] = Type.UUID if found == "uuid" else Type.TEXT
    return kinds


def _filled(source: Source, table: ShopTable, columns: Mapping[str, str], timezone: str) -> str:
    """The file of a source whose table was guessed."""
    where = f"{_quoted(table.schema)}." if table.schema != "public" else ""
    lines = [
        f"-- {source.name}: {source.grain}",
        f"-- Guessed from the names in {table.schema}.{table.name}: look at every line.",
        f"-- {source.name} in include/sources/README.md says what each column means. `make map` checks this file.",
        *_unused(table, columns),
        "select",
        *_select_list(source, table, columns, timezone),
        f"from {where}{_quoted(table.name)}",
    ]
    written = columns.get(source.watermark)
    if written:
        lines.append(_window(_quoted(written), table.columns[written], timezone))
    return "\n".join(lines) + "\n"


def _unused(table: ShopTable, columns: Mapping[str, str]) -> Iterator[str]:
    """The table's other columns, as a comment: what is to be filled in may be among them."""
    others = [f"{_quoted(name)} ({kind})" for name, kind in table.columns.items() if name not in columns.values()]
    if others:
        said = f"Not used yet: {', '.join(others)}."
        yield from textwrap.wrap(said, 120, initial_indent="-- ", subsequent_indent="-- ")


def _select_list(source: Source, table: ShopTable, columns: Mapping[str, str], timezone: str) -> Iterator[str]:
    last = source.columns[-1]
    for column in source.columns:
        chosen = columns.get(column.name)
        if chosen is None and column.optional:
            yield f"    -- … as {column.name},  -- none was found, and it may be left out: {column.doc}"
            continue
        value, note = ("null", _to_fill_in(column)) if chosen is None else (_quoted(chosen), "")
        if chosen is not None and cast_of(column.type, table.columns[chosen]) is None:
            instead = what_to_write(column.type, table.columns[chosen], value, timezone)
            value, note = instead or value, "" if instead else f"  -- TO MEND: it is {table.columns[chosen]}"
        named = value if value == column.name else f"{value} as {column.name}"
        yield f"    {named}{'' if column is last else ','}{note}"


def _to_fill_in(column: Column) -> str:
    what = "none was found" if column.nullable else "TO FILL IN"
    return f"  -- {what}: {column.doc}"


def _window(written: str, kind: str, timezone: str) -> str:
    since = ":changed_since"
    if kind == "timestamp without time zone":
        since = f":changed_since at time zone '{timezone}'"
    elif kind == "date":
        since = f"(:changed_since at time zone '{timezone}')::date"
    return f"where {written} >= {since} or {written} is null"


def _empty(source: Source) -> str:
    """The file of a source for which no table was found: nothing but comments, which ``make map`` asks about."""
    without = "then it has no rows" if source.optional else "then the tables that need it are left out"
    last = source.columns[-1]
    columns = (
        f"--     … as {column.name}{'' if column is last else ','}  -- {column.doc}" for column in source.columns
    )
    return "\n".join(
        [
            f"-- {source.name}: {source.grain}",
            f"-- No table was found for it. Fill it in, or remove this file if the shop has none: {without}.",
            "--",
            "-- select",
            *columns,
            "-- from …",
            f"-- where … >= :changed_since  -- the column behind {source.watermark}",
            "",
        ]
    )


def _quoted(name: str) -> str:
    """A name as SQL has it: in quotes only where it needs them."""
    if _PLAIN.fullmatch(name) and name not in RESERVED_WORDS:
        return name
    return '"' + name.replace('"', '""') + '"'
