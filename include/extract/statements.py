"""Whether a shop's statements can be read: each is described by Postgres, and some of its rows are computed.

A night does this before it reads anything, ``make map`` without a night. Everything that is wrong is found at once, and
said with its file, its line and what to write.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

import psycopg
from psycopg.pq import ExecStatus

from include.contract import Column, ContractError, Source, Type
from include.extract.reading import (
    Reading,
    called,
    cast_of,
    default_sql,
    is_number,
    is_text,
    may_hold_fractions,
    what_to_write,
)
from include.extract.refusals import Finding, refusal
from include.extract.select_list import Item, items
from include.extract.sql_files import EVERYTHING, file_of, is_absent, is_empty, shop_sql, shown, typed_sql
from include.ledger.logins import why_no_connection
from include.settings import settings
from include.telemetry.connections import cursor_factory

_ROWS: Final = 100  # of every statement, with all its columns
_SECONDS: Final = 5  # for these; a statement that sorts or groups may need longer, and is then read without it


class StatementsRefused(ContractError):
    """Statements of the shop's folder cannot be read; the message has file, line and what to write, of each."""


@dataclass(frozen=True)
class Given:
    """A column that a statement gives.

    Attributes:
        name: its name.
        type: its type in Postgres, without length or precision.
        item: where it stands in the file.
    """

    name: str
    type: str
    item: Item


@dataclass(frozen=True)
class Examined:
    """What was found out about the statements of a shop.

    Attributes:
        readings: how the columns of every statement are read that has no finding.
        findings: what is wrong.
        given: the columns of every statement that Postgres takes.
        empty: the sources whose file has nothing but comments.
    """

    readings: Mapping[str, Reading]
    findings: Sequence[Finding]
    given: Mapping[str, Sequence[Given]]
    empty: frozenset[str]

    def amounts(self, source: Source) -> list[Given]:
        """The columns of a source's statement that are amounts; a number that stands in the file is none."""
        amounts = {column.name for column in source.columns if column.type is Type.CENTS}
        given = [one for one in self.given.get(source.name, ()) if one.name in amounts]
        return [one for one in given if not one.item.expression.isdigit()]


@contextmanager
def shop_connection() -> Iterator[psycopg.Connection]:
    """A connection to the shop, in one read-only snapshot, to which no policy hides rows.

    Raises:
        ConnectionError: when the shop cannot be reached; the message never holds the password.
    """
    url = settings().shop_url.get_secret_value()
    try:
        # Nothing is prepared under a name: behind a pooler the session goes on to others.
        shop = psycopg.connect(
            url, connect_timeout=10, client_encoding="UTF8", prepare_threshold=None, cursor_factory=cursor_factory()
        )
    except psycopg.OperationalError as error:
        raise ConnectionError(f"no connection to the shop: {why_no_connection(url, error)}") from None
    with shop:
        shop.execute("set transaction isolation level repeatable read, read only")
        shop.execute("set local row_security = off")
        shop.execute("set local extra_float_digits = 1")
        yield shop


def check(sources: Mapping[str, Source]) -> dict[str, Reading]:
    """Describe the statement of every source, and compute some of its rows.

    Returns:
        How the columns of each are read.

    Raises:
        ConnectionError: when the shop cannot be reached.
        StatementsRefused: with everything that is wrong.
    """
    with shop_connection() as shop:
        examined = examine(shop, sources)
    refuse(examined.findings)
    return dict(examined.readings)


def refuse(findings: Collection[Finding]) -> None:
    """Raise ``StatementsRefused`` where a finding stops a night."""
    if stopping := [str(one) for one in findings if one.stops]:
        raise StatementsRefused(
            f"the shop's folder cannot be read; nothing is written, yesterday's tables stay. {' | '.join(stopping)}"
        )


def examine(shop: psycopg.Connection, sources: Mapping[str, Source]) -> Examined:
    """Find everything that is wrong with the statements of a shop.

    Args:
        shop: a ``shop_connection``.
        sources: its sources.
    """
    readings, findings = {}, []
    given: dict[str, list[Given]] = {}
    for name, source in sources.items():
        if is_absent(source):
            readings[name] = Reading()
            continue
        described = describe(shop, source)
        if isinstance(described, Finding):
            findings.append(described)
        else:
            given[name] = described
    keys = _key_findings(sources, given)
    for name, columns in given.items():
        wrong = [*_misnamed(sources[name], columns), *_mistyped(sources[name], columns, keys)]
        if not any(one.stops for one in wrong) and not keys:
            readings[name] = _reading(sources[name], columns)
            wrong += _computed(shop, sources[name], readings[name], columns)
        findings += wrong
    empty = frozenset(name for name, source in sources.items() if not is_absent(source) and is_empty(name))
    return Examined(readings, [*keys.values(), *findings], given, empty)


def describe(shop: psycopg.Connection, source: Source) -> list[Given] | Finding:
    """The columns that a source's statement gives, in order; or why Postgres refuses it."""
    text = file_of(source.name).read_text()
    line, listed = items(text)
    if is_empty(source.name):
        what = "there is no statement in it"
        return Finding(
            shown(file_of(source.name)), None, what, "write one, or remove the file if the shop has no such table"
        )
    try:
        columns = described(shop, shop_sql(source, EVERYTHING))
    except psycopg.OperationalError:  # the server, not the statement
        raise
    except psycopg.Error as error:
        return refusal(source.name, error, shop)
    by_name = {item.name.lower(): item for item in listed}
    in_order = len(listed) == len(columns)  # not where an entry is a star
    return [
        Given(name, kind, listed[number] if in_order else by_name.get(name.lower(), Item(line, name, name)))
        for number, (name, kind) in enumerate(columns)
    ]


def described(shop: psycopg.Connection, statement: str) -> list[tuple[str, str]]:
    """The name and the type in Postgres of every column of a statement, which is not run.

    Raises:
        ConnectionError: when the shop went away.
        psycopg.Error: when Postgres refuses it.
    """
    with shop.transaction():
        prepared = shop.pgconn.prepare(b"", statement.encode())
        if prepared.status != ExecStatus.COMMAND_OK:
            error = psycopg.errors.error_from_result(prepared, encoding="utf-8")
            raise error if error.sqlstate else ConnectionError(f"the connection to the shop broke: {error}")
        found = shop.pgconn.describe_prepared(b"")
        names = [(found.fname(number) or b"").decode() for number in range(found.nfields)]
        oids = [found.ftype(number) for number in range(found.nfields)]
        types = shop.execute(
            "select format_type(oid, null) from unnest(%s::oid[]) with ordinality as one (oid, number) order by number",
            [oids],
        ).fetchall()
    return list(zip(names, (kind for (kind,) in types), strict=True))


def _misnamed(source: Source, columns: Sequence[Given]) -> Iterator[Finding]:
    """Columns that are missing, that no contract knows, and that are there twice."""
    file, names = shown(file_of(source.name)), [one.name for one in columns]
    known = [column.name for column in source.columns]
    line, _ = items(file_of(source.name).read_text())
    for column in source.columns:
        if column.name not in names and not column.optional:
            write = f"add `null as {column.name}`" if column.nullable else f"add `… as {column.name}`"
            if column.name in source.added:
                write = f"add `… as {column.name}`, or take the dimension out of dimensions.toml"
            yield Finding(file, line, f"the column {column.name} is missing ({column.doc.rstrip('.')})", write)
    for number, one in enumerate(columns):
        if one.name not in known:
            near = get_close_matches(one.name.lower(), set(known) - set(names), 1)
            write = f"write `as {near[0]}`" if near else f"remove it; {source.name} has {', '.join(known)}"
            yield Finding(file, one.item.line, f"{source.name} has no column {one.name or 'without a name'}", write)
        elif one.name in names[:number]:
            yield Finding(file, one.item.line, f"the column {one.name} is there twice", "remove one of the two")


def _mistyped(source: Source, columns: Sequence[Given], keys: Collection[str]) -> Iterator[Finding]:
    """Columns of a type that is not read, but for the keys of the sources for which keys.toml lacks a line."""
    for one in columns:
        column = next((each for each in source.columns if each.name == one.name), None)
        if column is None:
            continue
        if one.item.is_null:
            if not column.nullable:
                what = f"{one.name} is null in every row ({column.doc.rstrip('.')})"
                write = f"write what it is; as it is, the gate quarantines every row of {source.name}"
                yield Finding(shown(file_of(source.name)), one.item.line, what, write, stops=False)
        elif cast_of(column.type, one.type) is None and _owner(source, column) not in keys:
            yield _of_other_type(source, column, one)


def _of_other_type(source: Source, column: Column, one: Given) -> Finding:
    expression = one.item.expression if one.item.expression != "*" else one.name
    if len(expression) > 60:
        expression = "(…)"
    elif any(sign in expression for sign in " +-*/|") and not expression.endswith(")"):
        expression = f"({expression})"
    instead = what_to_write(column.type, one.type, expression, settings().timezone)
    note = " (the zone in which the shop writes it)" if instead and "at time zone" in instead else ""
    if column.type is Type.AT and one.type == "bigint":
        note = f" (of milliseconds since 1970; of seconds `to_timestamp({expression})`)"
    what = f"{one.name} is {one.type}, and {called(column.type)} is meant"
    if column.type is Type.AT and one.type in ("date", "timestamp without time zone"):
        what = f"{one.name} is {one.type}, which says no instant without a time zone"
    write = f"write `{instead} as {one.name}`{note}" if instead else f"cast it to {column.postgres}"
    return Finding(shown(file_of(source.name)), one.item.line, what, write)


def _owner(source: Source, column: Column) -> str | None:
    """The source whose key a column holds; None where it holds none."""
    return column.key_of or (source.name if (column.name,) == source.primary_key else None)


def _kind_of_key(found: str) -> Type | None:
    if is_text(found):
        return Type.TEXT
    return Type.UUID if found == "uuid" else Type.INTEGER if is_number(found) else None


def _key_findings(sources: Mapping[str, Source], given: Mapping[str, Sequence[Given]]) -> dict[str, Finding]:
    """The lines that the folder's keys.toml lacks, by source: its own key is of another type than is declared.

    Of a source that the shop has not, it is the type in which another one holds its key.
    """
    file, found = shown(settings().sources / "keys.toml"), dict[str, Finding]()
    for name, columns in given.items():
        source = sources[name]
        for column in source.columns:
            owner = _owner(source, column)
            one = next((each for each in columns if each.name == column.name), None)
            if one is None or owner is None or one.item.is_null or cast_of(column.type, one.type) is not None:
                continue
            kind = _kind_of_key(one.type)
            if kind and owner not in found and (owner == name or owner not in sources):
                where = f"{shown(file_of(name))}:{one.item.line}"
                what = f"the keys of {owner} are {one.type} ({where}), and are read as {column.type}"
                found[owner] = Finding(file, None, what, f'add the line `{owner} = "{kind}"`')
    return found


def _reading(source: Source, columns: Sequence[Given]) -> Reading:
    by_name = {one.name: one for one in columns}
    casts, fractional = {}, set()
    for column in source.columns:
        if column.name not in by_name:
            casts[column.name] = default_sql(column)
            continue
        one = by_name[column.name]
        casts[column.name] = cast_of(column.type, one.type, is_null=one.item.is_null) or "{}"
        if not one.item.is_null and may_hold_fractions(column.type, one.type):
            fractional.add(column.name)
    return Reading(casts, frozenset(fractional))


def _computed(
    shop: psycopg.Connection, source: Source, reading: Reading, columns: Sequence[Given]
) -> Iterator[Finding]:
    """What Postgres finds only when it computes the columns: a cast that fails, a table that may not be read."""
    try:
        any_bytes = shop.info.parameter_status("server_encoding") == "SQL_ASCII"
        _compute(shop, typed_sql(source, EVERYTHING, any_bytes=any_bytes, reading=reading))
    except psycopg.errors.QueryCanceled:
        return  # reading it will tell
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        yield refusal(source.name, error, shop, _failing(shop, source, columns))


def _failing(shop: psycopg.Connection, source: Source, columns: Sequence[Given]) -> Item | None:
    """The column that cannot be computed alone; None where it is none of them, or each."""
    failed = []
    for one in columns:
        try:
            _compute(shop, f"select source.{one.name} from ({shop_sql(source, EVERYTHING)}) as source")
        except psycopg.Error:
            failed.append(one.item)
    return failed[0] if len(failed) == 1 else None


def _compute(shop: psycopg.Connection, statement: str) -> None:
    """Have Postgres compute some rows of a statement, with all its columns."""
    with shop.transaction():
        shop.execute(f"set local statement_timeout = '{_SECONDS}s'".encode())
        shop.execute(f"select * from ({statement}) as computed limit {_ROWS}".encode())
