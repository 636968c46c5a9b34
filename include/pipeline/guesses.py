"""Which tables and columns of a shop may be meant by a source, guessed by their names, keys and foreign keys.

A guess is a start for a person, who sees it in the file that is written (``new_shop``). It decides nothing in a night.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg

from include.contract import Source, Type
from include.pipeline.shop_words import COLUMNS, KEYS, TABLES

# Endings of a table's name that may be its plural's (orders, almacenes, bestellungen, kunden), or none's (auftragspos).
_PLURALS: Final = ("s", "", "es", "en", "n")
# Endings of an amount's name that say how it is meant, and not what it is.
_OF_AMOUNTS: Final = ("cents", "cent", "centimes", "ht", "ttc", "net", "netto", "gross", "brutto", "eur")
# Columns that say which rows are none of the shop's trade.
_ASIDE: Final = re.compile(
    r"(is_)?(deleted|archived|test|draft|dummy)(_at|_on)?|test(auftrag|bestellung|order)?|geloescht(_am)?|entwurf"
    r"|(est_)?(supprime|archive|test|brouillon)e?(_le)?|eliminado(_en)?|borrado(_en)?"
)

_CATALOGUE: Final = """
select
    nspname,
    relname,
    array(
        select array[attname::text, format_type(atttypid, null)]
        from pg_attribute
        where attrelid = pg_class.oid and attnum > 0 and not attisdropped
        order by attnum
    ),
    array(
        select attname::text
        from pg_index
        join pg_attribute on attrelid = indrelid and attnum = any (indkey)
        where indrelid = pg_class.oid and indisprimary
    ),
    array(
        select array[attname::text, confrelid::text]
        from pg_constraint
        join pg_attribute on attrelid = conrelid and attnum = conkey[1]
        where conrelid = pg_class.oid and contype = 'f' and cardinality(conkey) = 1
    ),
    pg_class.oid::text
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p', 'v', 'm', 'f') and not relispartition
    and nspname not in ('pg_catalog', 'information_schema') and nspname not like 'pg\\_%'
order by nspname, relname
"""


@dataclass(frozen=True)
class ShopTable:
    """A table or view of the shop.

    Attributes:
        schema: its schema.
        name: its name.
        columns: type in Postgres by column, in order.
        key: the columns of its primary key.
        refers_to: by column, the ``oid`` of the table whose row it names.
        oid: its number in the catalogue.
    """

    schema: str
    name: str
    columns: Mapping[str, str]
    key: Sequence[str]
    refers_to: Mapping[str, str]
    oid: str


def catalogue(shop: psycopg.Connection) -> list[ShopTable]:
    """The shop's tables and views, whether or not they may be read."""
    return [
        ShopTable(schema, name, dict(columns), key, dict(refers_to), oid)
        for schema, name, columns, key, refers_to, oid in shop.execute(_CATALOGUE.encode()).fetchall()
    ]


def guess_tables(tables: Sequence[ShopTable], sources: Mapping[str, Source]) -> dict[str, ShopTable]:
    """By source, the table that is likeliest meant; none where no name is like one. No table is meant twice."""
    scored = sorted(
        (
            (score, number, name, table)
            for number, table in enumerate(tables)
            for name in sources
            if (score := max(_likeness(_words(table.name, one), TABLES.get(name, ())) for one in _PLURALS)) > 0
        ),
        key=lambda one: (-one[0], one[1]),
    )
    found: dict[str, ShopTable] = {}
    for _, _, name, table in scored:
        if name not in found and table not in found.values():
            found[name] = table
    return found


def guess_columns(source: Source, tables: Mapping[str, ShopTable]) -> dict[str, str]:
    """By column of a source, the column of its guessed table that is likeliest meant."""
    table, found = tables[source.name], dict[str, str]()
    for column in source.columns:
        if column.key_of:
            referring = _references(table, column.key_of, column.name, tables)
            names = [*KEYS.get(f"{source.name}.{column.name}", ()), *referring]
            names = [name for name in names if name not in found.values()]
        elif (column.name,) == source.primary_key:
            names = [*(table.key if len(table.key) == 1 else ()), column.name, "id"]
        else:
            names = [column.name, *COLUMNS.get(column.name, ())]
        by_name = {"_".join(_words(name, "")): name for name in table.columns}
        if column.type is Type.CENTS:
            by_name |= {bare: name for plain, name in by_name.items() if (bare := _bare_amount(plain)) not in by_name}
        chosen = next((by_name.get(name, name) for name in names if name in by_name or name in table.columns), None)
        if chosen:
            found[column.name] = chosen
    return found


def set_aside(table: ShopTable) -> list[str]:
    """The columns that may say which rows are deleted, drafts or tests: those a statement leaves out."""
    return [name for name in table.columns if _ASIDE.fullmatch("_".join(_words(name, "")))]


def time_beside(table: ShopTable, day: str) -> str | None:
    """The column with the time of a day that is in a column of its own; None where it is not the only one."""
    times = [name for name, kind in table.columns.items() if kind.startswith("time ")]
    days = [name for name, kind in table.columns.items() if kind == "date"]
    return times[0] if len(times) == 1 and days == [day] else None


def _bare_amount(name: str) -> str:
    words = name.split("_")
    while len(words) > 1 and words[-1] in _OF_AMOUNTS:
        words.pop()
    return "_".join(words)


def _references(table: ShopTable, owner: str, name: str, tables: Mapping[str, ShopTable]) -> list[str]:
    """The columns that may hold the key of another source: its foreign key first."""
    other = tables.get(owner)
    if other is None:
        return [name]
    keys = [column for column, oid in table.refers_to.items() if oid == other.oid]
    own = other.key if len(other.key) == 1 and other.key[0] != "id" else ()
    # Of lignes_commande it may be ligne_id, and never commande_id where there are commandes.
    words, taken = _words(other.name), [_words(one.name) for one in tables.values()]
    parts = [f"{word}_id" for word in words if [word] not in taken]
    return [*keys, name, *own, f"{'_'.join(words)}_id", *parts]


def _likeness(words: Sequence[str], names: Sequence[str]) -> int:
    """How alike a table's name is to the likeliest of some names: more words in common, fewer beside them."""
    best = 0
    for number, name in enumerate(names):
        wanted = name.split("_")
        if any(list(words[at : at + len(wanted)]) == wanted for at in range(len(words))):
            best = max(best, 100 * len(wanted) - 20 * (len(words) - len(wanted)) - number)
    return best


def _words(name: str, plural: str = "s") -> list[str]:
    """The words of a name, without the ending of a plural: ``OrderItems`` is order, item."""
    split = unicodedata.normalize("NFKD", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).casefold())
    split = "".join(one for one in split if not unicodedata.combining(one))  # dépôt is depot
    words = [word for word in re.split(r"[^a-z0-9]+", split) if word]
    return [_singular(word, plural) for word in words]


def _singular(word: str, plural: str) -> str:
    if plural == "s" and word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    ends = plural and word.endswith(plural) and not word.endswith(("ss", "us"))
    return word.removesuffix(plural) if ends and len(word) > 2 + len(plural) else word
