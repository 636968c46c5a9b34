"""The folder of a new shop: a file for every source, filled in as far as the shop's own catalogue gives it away.

What could not be guessed is said in the file, and by ``make map``.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from pydantic import SecretStr

from include.contract import Column, Source, Type
from include.extract.reading import cast_of, is_text, what_to_write
from include.ledger.logins import why_no_connection
from include.pipeline.guesses import ShopTable, catalogue, guess_columns, guess_tables, set_aside, time_beside
from include.sources import SOURCES
from include.sources.dimensions import FILE as DIMENSIONS
from include.sources.reserved_words import RESERVED_WORDS

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")


_NEVER: Final = "timestamptz '2000-01-01'"
_KEY_INSTEAD: Final = ("sku", "code")
_INSTEAD: Final = {"reorder_point": "0", "reserved": "0", "restocked": "false", "is_active": "true"}
_CENTS: Final = re.compile(r"(^|_)(cents?|cts?|centimes)$")
_WITH_TAX: Final = re.compile(r"(^|_)(ttc|brutto|gross|incl(_tax|_vat)?)$")
# Columns whose values are words of the contract; what the shop says instead is shown where it is little.
_WORDED: Final = frozenset({"status", "kind", "method", "channel"})
_MOST_WORDS: Final = 12
_SECONDS: Final = 2
_DISTINCT: Final = """
select distinct word::text from (select {} as word from {} limit 10000) as looked_at
where word is not null order by 1 limit 13
"""


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
    words = _words(url, tables, columns) if url else {}
    kinds = _key_kinds(tables, columns)
    folder.mkdir()
    for name, source in SOURCES.items():
        found = tables.get(name)
        text = (
            _filled(source.typed(kinds), found, columns[name], timezone, words.get(name, {}))
            if found
            else _empty(source)
        )
        (folder / f"{name}.sql").write_text(text)
    if kinds:
        (folder / "keys.toml").write_text("".join(f'{name} = "{kind}"\n' for name, kind in kinds.items()))
    (folder / DIMENSIONS).write_text(_NO_DIMENSIONS)
    read_from = {name: f"{table.schema}.{table.name}" for name, table in tables.items()}
    return Written(folder, read_from, [name for name in SOURCES if name not in tables])


def _tables(url: SecretStr) -> list[ShopTable]:
    with _reading(url) as shop:
        return catalogue(shop)


def _words(
    url: SecretStr, tables: Mapping[str, ShopTable], columns: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, list[str]]]:
    """By source and column, what the shop says where the contract has words of its own; as far as it may be read."""
    found: dict[str, dict[str, list[str]]] = {}
    with _reading(url) as shop:
        for name, table in tables.items():
            for column in _WORDED & columns[name].keys():
                statement = sql.SQL(_DISTINCT).format(
                    sql.Identifier(columns[name][column]), sql.Identifier(table.schema, table.name)
                )
                with suppress(psycopg.Error), shop.transaction():
                    shop.execute(f"set local statement_timeout = '{_SECONDS}s'".encode())
                    said = [" ".join(value.split()) for (value,) in shop.execute(statement).fetchall()]
                    found.setdefault(name, {})[column] = said if len(said) <= _MOST_WORDS else []
    return found


@contextmanager
def _reading(url: SecretStr) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(url.get_secret_value(), connect_timeout=10, client_encoding="UTF8") as shop:
            shop.execute("set transaction read only")
            yield shop
    except psycopg.OperationalError as error:
        why = why_no_connection(url.get_secret_value(), error)
        raise ConnectionError(f"no connection to the shop: {why}") from None


def _key_kinds(tables: Mapping[str, ShopTable], columns: Mapping[str, Mapping[str, str]]) -> dict[str, Type]:
    """The keys that are no whole numbers, by source."""
    kinds = {}
    for name, source in SOURCES.items():
        column = columns.get(name, {}).get(source.primary_key[0])
        if len(source.primary_key) > 1 or name not in tables:
            continue
        if column is None and len(tables[name].key) > 1:
            kinds[name] = Type.TEXT  # made of several columns
        elif column:
            found = tables[name].columns[column]
            if found == "uuid" or is_text(found):
                kinds[name] = Type.UUID if found == "uuid" else Type.TEXT
    return kinds


def _filled(
    source: Source,
    table: ShopTable,
    columns: Mapping[str, str],
    timezone: str,
    words: Mapping[str, Sequence[str]],
) -> str:
    """The file of a source whose table was guessed."""
    where = f"{_quoted(table.schema)}." if table.schema != "public" else ""
    lines = [
        f"-- {source.name}: {source.grain}",
        f"-- Guessed from the names in {table.schema}.{table.name}: look at every line.",
        f"-- {source.name} in include/sources/README.md says what each column means. `make map` checks this file.",
        *_unused(table, columns),
        *_aside(table),
        "select",
        *_select_list(source, table, columns, timezone, words),
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


def _aside(table: ShopTable) -> Iterator[str]:
    """The columns that may say which rows are none of the shop's trade, as a comment."""
    for name in set_aside(table):
        kind = table.columns[name]
        keep = f"not {_quoted(name)}" if kind == "boolean" else f"{_quoted(name)} is null"
        yield f"-- TO DECIDE: {_quoted(name)} ({kind}) may say which rows are to be left out: `where {keep}`."


def _select_list(
    source: Source,
    table: ShopTable,
    columns: Mapping[str, str],
    timezone: str,
    words: Mapping[str, Sequence[str]],
) -> Iterator[str]:
    last = source.columns[-1]
    for column in source.columns:
        chosen = columns.get(column.name)
        if chosen is None and column.optional:
            yield f"    -- … as {column.name},  -- none was found, and it may be left out: {column.doc}"
            continue
        value, note = (
            _unfound(source, column, table)
            if chosen is None
            else _found(column, table, chosen, timezone, words.get(column.name, ()))
        )
        named = value if value == column.name else f"{value} as {column.name}"
        yield f"    {named}{'' if column is last else ','}{f'  -- {note}' if note else ''}"


def _found(column: Column, table: ShopTable, chosen: str, timezone: str, words: Sequence[str]) -> tuple[str, str]:
    """What a column is read from, and what is to be looked at."""
    value, kind = _quoted(chosen), table.columns[chosen]
    if column.type is Type.AT and kind == "date" and (time := time_beside(table, chosen)):
        return f"({value} + {_quoted(time)}) at time zone '{timezone}'", f"{chosen} and {time} are one instant"
    if cast_of(column.type, kind) is None:
        instead = what_to_write(column.type, kind, value, timezone)
        note = "" if instead else f"TO MEND: it is {kind}"
        if column.type is Type.AT and kind == "bigint":
            note = f"of milliseconds; of seconds it is to_timestamp({value})"
        value = instead or value
        return (f"{value} / 100.0", "cents, by the name") if _is_cents(column, chosen) else (value, note)
    if column.type is Type.TEXT and column.nullable and is_text(kind) and chosen not in table.refers_to:
        value = f"nullif(trim({value}), '')"  # an empty text is a value like any other: one customer, one channel
    if words:
        listed = ", ".join(f"'{word}'" for word in words)
        return value, f"TO MEND where these are others; the shop has {listed}: {column.doc}"
    if _is_cents(column, chosen):
        return f"{value} / 100.0", "cents, by the name"
    with_tax = column.type is Type.CENTS and column.name != "total" and _WITH_TAX.search(chosen.lower())
    return value, f"with tax, by the name? {column.doc}" if with_tax else ""


def _is_cents(column: Column, chosen: str) -> bool:
    return column.type is Type.CENTS and bool(_CENTS.search(chosen.lower()))


def _unfound(source: Source, column: Column, table: ShopTable) -> tuple[str, str]:
    """What a column is where none was found: what a shop that does not keep it gives, else null, to be filled in."""
    if column.name == source.watermark:
        return _NEVER, "none was found. With a constant every night reads and checks all rows: nothing is missed"
    if (column.name,) == source.primary_key and len(table.key) > 1:
        return f"concat_ws('/', {', '.join(map(_quoted, table.key))})", "its key has several columns"
    if column.name in _KEY_INSTEAD and len(table.key) == 1:
        value = _quoted(table.key[0])
        return value if is_text(table.columns[table.key[0]]) else f"{value}::text", "none was found: the key"
    if column.name in _INSTEAD:
        return _INSTEAD[column.name], f"none was found: {column.doc}"
    return "null", f"{'none was found' if column.nullable else 'TO FILL IN'}: {column.doc}"


def _window(written: str, kind: str, timezone: str) -> str:
    since = ":changed_since"
    if kind == "timestamp without time zone":
        since = f":changed_since at time zone '{timezone}'"
    elif kind == "date":
        since = f"(:changed_since at time zone '{timezone}')::date"
    instant = written
    if kind not in ("timestamp without time zone", "date", "timestamp with time zone"):
        instant = what_to_write(Type.AT, kind, written, timezone) or written
    return f"where {instant} >= {since} or {written} is null"


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
