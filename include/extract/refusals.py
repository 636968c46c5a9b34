"""What Postgres refuses in a shop's statement, said with file and line and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final
from zoneinfo import available_timezones

import psycopg

from include.extract.select_list import Item
from include.extract.sql_files import EVERYTHING, bound, file_of, shown


@dataclass(frozen=True)
class Finding:
    """Something wrong in a shop's folder.

    Attributes:
        file: the file, from the project's folder.
        line: the line, the first is 1; None where it is no single one.
        what: what is wrong.
        write: what to do; empty where ``what`` says it.
        stops: whether a night cannot read the shop before it is mended.
    """

    file: str
    line: int | None
    what: str
    write: str
    stops: bool = True

    def __str__(self) -> str:
        """``orders.sql:7: the shop has no column sum: …``."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(filter(None, (where, self.what, self.write)))


def refusal(source: str, error: psycopg.Error, shop: psycopg.Connection, item: Item | None = None) -> Finding:
    """What Postgres refuses, in our words.

    Args:
        source: the source.
        error: what it says.
        shop: the connection on which it said so.
        item: the column that it could not compute, if that is known.
    """
    said = " ".join((error.diag.message_primary or str(error)).split())
    what, write = f"Postgres refuses it ({said})", "mend the statement"
    for state, put in _WORDS.items():
        if (error.sqlstate or "").startswith(state):
            what, write = put(_with_schema(said, shop), shop.info.user)
            break
    if error.sqlstate == _NO_TABLE and (near := _nearest_table(what, shop)):
        write = f"perhaps {near} is meant"
    if hint := re.search(r'column "([^"]+)"', error.diag.message_hint or ""):
        write = f"perhaps {hint[1]} is meant"
    if item and item.name:
        what = f"{item.name} cannot be computed: {what}"
    return Finding(shown(file_of(source)), item.line if item else _line(source, error), what, write)


def _with_schema(said: str, shop: psycopg.Connection) -> str:
    """What Postgres says of a table that may not be read, with the table's schema, where only one can be meant."""
    denied = re.search(r"permission denied for (?:table|view) (\S+)$", said)
    if not denied:
        return said
    found = shop.execute(_NOT_READ, [denied[1]]).fetchall()
    return f"{said.removesuffix(denied[1])}{found[0][0]}" if len(found) == 1 else said


def _nearest_table(what: str, shop: psycopg.Connection) -> str | None:
    """The shop's table that is called most like one that it has not: in another schema, or spelt otherwise."""
    wanted = what.removeprefix("the shop has no table ").lower()
    names = [name for (name,) in shop.execute(_TABLES.encode()).fetchall()]
    by_name: dict[str, str] = {}
    for name in names:
        by_name.setdefault(name.replace('"', "").lower(), name)
        by_name.setdefault(name.rpartition(".")[2].strip('"').lower(), name)
    near = get_close_matches(wanted, by_name, 1) or get_close_matches(wanted.rpartition(".")[2], by_name, 1)
    return by_name[near[0]] if near else None


def value_refused(source: str, said: str) -> Finding | None:
    """A value that cannot be cast, found as the rows are read; None where something else was refused.

    Args:
        source: the source.
        said: the words of Postgres, which DuckDB passes on without their code.
    """
    if not _OF_A_VALUE.search(said):
        return None
    return Finding(shown(file_of(source)), None, *_no_value(said.removeprefix("ERROR: "), ""))


def _line(source: str, error: psycopg.Error) -> int | None:
    """The line of the file that Postgres points at; None where it points at none."""
    at = error.diag.statement_position
    if at is None:
        return None
    # The bound window is longer than its name, but no line longer: lines are the same in both texts.
    text = file_of(source).read_text()
    blank = len(text) - len(text.lstrip())  # is not sent
    return text.count("\n", 0, blank) + bound(text, EVERYTHING).count("\n", 0, int(at) - 1) + 1


def _no_column(said: str, _role: str) -> tuple[str, str]:
    found = re.search(r"column (.+) does not exist", said)
    return f"the shop has no column {_bare(found[1]) if found else said}", "name one that it has"


def _no_table(said: str, _role: str) -> tuple[str, str]:
    found = re.search(r"relation (.+) does not exist", said)
    name = _bare(found[1]) if found else said
    return f"the shop has no table {name}", "name one that it has, with its schema where that is not on the search path"


def _denied(said: str, role: str) -> tuple[str, str]:
    if hidden := re.search(r"row-level security policy for table (.+)", said):
        return f"row-level security of {_bare(hidden[1])} would hide rows", f"`alter role {role} bypassrls`"
    found = re.search(r"permission denied for (\w+) (.+)", said)
    if not found:
        return f"the role {role} may not do this ({said})", "grant it"
    right = {"schema": "usage on schema", "function": "execute on function"}.get(found[1], "select on")
    return f"the role {role} may not read the {found[1]} {found[2]}", f"`grant {right} {found[2]} to {role}`"


def _no_sql(said: str, _role: str) -> tuple[str, str]:
    if "multiple commands" in said:
        return "there is more than one statement", "keep one select; a `;` may only end it"
    near = re.search(r"at or near (.+)", said)
    return f"Postgres does not understand it{f' near {near[1]}' if near else ''}", "mend the SQL"


def _no_operator(said: str, _role: str) -> tuple[str, str]:
    what = f"it compares or computes with types that do not go together ({said})"
    if "function round(" in said:
        return what, "round a number of `numeric`: `round((…)::numeric, 2)`"
    return what, "cast one of them"


def _no_value(said: str, _role: str) -> tuple[str, str]:
    if zone := re.search(r'time zone "(.+)" not recognized', said):
        near = get_close_matches(zone[1], available_timezones(), 1)
        what = f"there is no time zone {zone[1]}"
        return what, f"perhaps {near[0]} is meant" if near else "name one as Europe/Berlin is named"
    if "division by zero" in said:
        return "it divides by zero", "write `nullif(…, 0)` below the line: the value is null then"
    return f"a value cannot be cast ({said})", "let the statement give null or a text for such a value, or mend the row"


def _bare(name: str) -> str:
    return name.replace('"', "")


_NOT_READ: Final = """
select format('%%I.%%I', nspname, relname)
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where relname = %s and not has_table_privilege(pg_class.oid, 'select')
"""
_TABLES: Final = """
select format('%I.%I', nspname, relname)
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p', 'v', 'm', 'f') and not relispartition
    and nspname not in ('pg_catalog', 'information_schema') and nspname not like 'pg\\_%'
order by 1
"""
_NO_TABLE: Final = "42P01"
_OF_A_VALUE = re.compile(r"^ERROR: .*(invalid input (syntax|value)|out of range|division by zero)")
# By what an SQLSTATE begins with.
_WORDS: Final[dict[str, Callable[[str, str], tuple[str, str]]]] = {
    "42703": _no_column,
    _NO_TABLE: _no_table,
    "42501": _denied,
    "42601": _no_sql,
    "42883": _no_operator,
    "42804": _no_operator,
    "22": _no_value,
}
