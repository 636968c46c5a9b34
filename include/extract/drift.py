"""Schema drift: the shop's tables must still have the schema that somebody last accepted.

The expected schema is ``schema.toml`` in the shop's folder, written by ``make schema``. Without that file it is the
schema that the first night found, which the ledger keeps. The file takes precedence over the ledger: writing it accepts
a change.

A new column is recorded and ignored, and so is a number that holds more digits than before. A missing table, column,
key or foreign key, another type, or other enum labels stop the night before anything is written. A key that is missing
on purpose is named in the table's comment: ``[set aside: key (order_id)]``.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import duckdb
import psycopg
from psycopg.sql import Literal

from include.contract import ContractError
from include.extract.refusals import Finding, refusal
from include.extract.sql_files import is_empty
from include.extract.statements import described, refuse, shop_connection
from include.ledger import drift as ledger
from include.ledger.drift import Change
from include.settings import settings

FILE: Final = "schema.toml"
_HEAD = """\
# The shop's tables that these .sql files read, as they are expected to be. Written by `make schema`; a night that finds
# a column, key or foreign key gone or changed writes nothing and says so.
"""
_HIDES = "table {}: its row-level security would hide rows; give the role that reads it `bypassrls`"
_IF_INTENDED = " | If this is intended, adapt the .sql files that read it, then run `make schema`"
_WHOLE = ("smallint", "integer", "bigint")  # each holds what those before it hold
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_SET_ASIDE = re.compile(r"\[set aside: ([^\]]*)\]")

_CATALOGUE = Path(__file__).with_suffix(".sql")

# Postgres locks every relation that a prepared statement reads until the transaction ends: views and their tables.
_READ = """
select nspname || '.' || relname as name
from pg_locks
join pg_class on pg_class.oid = relation
join pg_namespace on pg_namespace.oid = relnamespace
where pid = pg_backend_pid() and mode = 'AccessShareLock' and relkind in ('r', 'p', 'v', 'm', 'f')
    and nspname not in ('pg_catalog', 'information_schema')
order by name
"""


class SchemaDrift(ContractError):
    """The shop's schema is not the expected one; the message names contract, column, expected and found."""


@dataclass(frozen=True)
class Relation:
    """A table or view of the shop.

    Attributes:
        columns: type by column, as Postgres writes it: ``numeric(14,2)``.
        enums: labels in order, by column of an enum type.
        keys: ``key (order_id)``, for the primary key and every other unique key.
        foreign_keys: ``foreign key (customer_id) references public.customers (customer_id)``.
        comment: the shop's comment; it may name keys that are missing on purpose.
        hides_rows: whether row-level security holds for the role that asks.
    """

    columns: Mapping[str, str]
    enums: Mapping[str, list[str]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    foreign_keys: list[str] = field(default_factory=list)
    comment: str = ""
    hides_rows: bool = False


Relations = Mapping[str, Relation]
Schema = Mapping[str, Relations]  # per source, the relations that its statement reads, by name: public.orders


def expected(run_id: str, statements: Mapping[str, str]) -> Schema:
    """The schema that a night must find.

    Args:
        run_id: the night's run; the ledger records it with a schema that is seen for the first time.
        statements: the shop's statement for every source.

    Raises:
        SchemaDrift: when the folder's file lacks a source.
        ConnectionError: when the shop must be asked and cannot be reached.
    """
    statements = {name: text for name, text in statements.items() if not is_empty(name)}
    file = settings().sources / FILE
    if file.exists():
        return _from_file(file, statements)
    # A changed statement may read other tables: its source starts over.
    digests = {name: sha256(text.encode()).hexdigest() for name, text in statements.items()}
    known = ledger.first_schemas(digests)
    schema = {
        name: {relation: Relation(**described) for relation, described in relations.items()}
        for name, relations in known.items()
    }
    if missing := {name: text for name, text in statements.items() if name not in known}:
        schema |= observe(missing)
        ledger.keep_first_schemas(
            run_id,
            {name: (digests[name], _as_json(relations)) for name, relations in schema.items() if name in missing},
        )
    return schema


def observe(statements: Mapping[str, str]) -> dict[str, dict[str, Relation]]:
    """The tables that each source's statement reads, with their schema now.

    Raises:
        ConnectionError: when the shop cannot be reached.
        StatementsRefused: when Postgres refuses a statement; with every one that it refuses.
    """
    read: dict[str, list[str]] = {}
    refused: list[Finding] = []
    for name, statement in statements.items():
        with shop_connection() as shop:  # one each: a savepoint would keep the locks of the others
            try:
                described(shop, statement)
            except psycopg.OperationalError:  # the server, not the statement
                raise
            except psycopg.Error as error:
                refused.append(refusal(name, error, shop))
                continue
            read[name] = [row[0] for row in shop.execute(_READ).fetchall()]
    refuse(refused)
    with shop_connection() as shop:
        row = shop.execute(_catalogue_query({one for names in read.values() for one in names}).encode()).fetchone()
    found = _relations(row[0] if row else "{}")
    return {name: {relation: found[relation] for relation in relations} for name, relations in read.items()}


def check(connection: duckdb.DuckDBPyConnection, schema: Schema) -> list[Change]:
    """Compare the shop's schema with the expected one, by one query of its catalogue.

    Args:
        connection: a DuckDB session with the shop attached.
        schema: the expected schema.

    Returns:
        Changes that are recorded and ignored.

    Raises:
        SchemaDrift: with all reasons at once.
    """
    if not schema:
        return []
    readers: dict[str, list[str]] = {}
    for source, relations in schema.items():
        for name in relations:
            readers.setdefault(name, []).append(source)
    row = connection.execute("select found from postgres_query('shop', ?)", [_catalogue_query(readers)]).fetchone()
    found = _relations(row[0] if row else "{}")
    refused: dict[str, bool] = {}  # each once, in order, and whether it may be intended
    news: dict[Change, None] = {}
    for relations in schema.values():
        for name, was in relations.items():
            who = f"{'sources' if len(readers[name]) > 1 else 'source'} {', '.join(readers[name])}"
            refused |= {f"{who}: {reason}": True for reason in _breaking_changes(name, was, found.get(name))}
            if name in found and found[name].hides_rows:
                refused[f"{who}: {_HIDES.format(name)}"] = False
            news |= dict.fromkeys(_harmless_changes(name, was, found[name])) if name in found else {}
    if refused:
        raise SchemaDrift(
            f"the shop's schema has changed; nothing is written, yesterday's tables stay. {' | '.join(refused)}"
            + (_IF_INTENDED if any(refused.values()) else "")
        )
    return list(news)


def write(schema: Schema, folder: Path) -> Path:
    """Write the expected schema into a shop's folder.

    Returns:
        The file.
    """
    relations = {name: one for each in schema.values() for name, one in each.items()}
    lines = [_HEAD, "[reads]", *_pairs({source: sorted(names) for source, names in schema.items()})]
    for name, relation in sorted(relations.items()):
        lines += ["", f"[{_toml(name)}]", f"keys = {_toml(relation.keys)}"]
        lines += [f"foreign_keys = {_toml(relation.foreign_keys)}"]
        lines += ["", f"[{_toml(name)}.columns]", *_pairs(relation.columns)]
        if relation.enums:
            lines += ["", f"[{_toml(name)}.enums]", *_pairs(relation.enums)]
    file = folder / FILE
    file.write_text("\n".join(lines) + "\n")
    return file


def _from_file(file: Path, sources: Iterable[str]) -> Schema:
    try:
        content: dict[str, Any] = tomllib.loads(file.read_text())
        relations = {name: Relation(**described) for name, described in content.items() if name != "reads"}
        schema = {source: {name: relations[name] for name in names} for source, names in content["reads"].items()}
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise SchemaDrift(
            f"{file} does not describe the shop's tables ({error}): run `make schema` to write it"
        ) from error
    if unknown := [source for source in sources if source not in schema]:
        raise SchemaDrift(f"{file} does not say what {', '.join(unknown)} reads: run `make schema` to write it again")
    return {source: schema[source] for source in sources}


def _breaking_changes(name: str, was: Relation, now: Relation | None) -> Iterator[str]:
    """What is missing or changed in a relation, one sentence each."""
    if now is None:
        yield f"table {name}: expected, found no table of that name"
        return
    fresh = ", ".join(f"{column} {kind}" for column, kind in now.columns.items() if column not in was.columns)
    for column, kind in was.columns.items():
        found = now.columns.get(column)
        if found is None:
            yield f"column {name}.{column}: expected {kind}, found no such column" + (
                f" (new: {fresh})" if fresh else ""
            )
        elif found != kind and not _is_wider(kind, found):
            yield f"column {name}.{column}: expected {kind}, found {found}"
        elif column in was.enums and now.enums.get(column) != was.enums[column]:
            labels = ", ".join(now.enums.get(column, [])) or "none"
            yield f"column {name}.{column}: expected the labels {', '.join(was.enums[column])}, found {labels}"
    aside = _SET_ASIDE.search(now.comment)
    for kept, there in ((was.keys, now.keys), (was.foreign_keys, now.foreign_keys)):
        for key in kept:
            if key not in there and not (aside and key.partition(" references ")[0] in aside[1].split("; ")):
                what = "foreign key" if key.startswith("foreign") else "key"
                yield f"{what} of {name}: expected {key}, found {'; '.join(there) or 'none'}"


def _harmless_changes(name: str, was: Relation, now: Relation) -> Iterator[Change]:
    for column, kind in now.columns.items():
        if column not in was.columns:
            yield Change(name, column, f"new column, {kind}")
        elif kind != was.columns[column]:
            yield Change(name, column, f"wider: {was.columns[column]} before, {kind} now")


def _is_wider(was: str, now: str) -> bool:
    """Whether a number has more digits before its decimal point, and as many after it."""
    if was in _WHOLE and now in _WHOLE:
        return _WHOLE.index(was) < _WHOLE.index(now)
    before, after = _NUMERIC.fullmatch(was), _NUMERIC.fullmatch(now)
    return bool(before and after and before[2] == after[2] and int(before[1]) < int(after[1]))


def _catalogue_query(names: Iterable[str]) -> str:
    return _CATALOGUE.read_text().replace(":names", Literal("\n".join(sorted(names))).as_string(None))


def _relations(text: str) -> dict[str, Relation]:
    """The relations in the answer to ``_catalogue_query``."""
    return {name: Relation(**described) for name, described in json.loads(text).items()}


def _as_json(relations: Relations) -> dict[str, Any]:
    return {name: asdict(relation) for name, relation in relations.items()}


def _pairs(values: Mapping[str, Any]) -> list[str]:
    names = (name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name) for name in values)
    return [f"{name} = {_toml(value)}" for name, value in zip(names, values.values(), strict=True)]


def _toml(value: Any) -> str:
    """A string or a list of strings as TOML; for these, JSON is valid TOML."""
    if isinstance(value, list) and sum(map(len, value)) > 100:
        return "[\n" + "".join(f"    {json.dumps(one, ensure_ascii=False)},\n" for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)
