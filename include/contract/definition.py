"""What decides the rows of a source's copy, so that a copy of another definition is known for what it is.

Three things, each with its own consequence when it changes: what is read of the shop (the source is read anew), what is
derived from it, and which rules are checked (every row is checked anew, from the copy).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from include.contract.rules import Severity
from include.contract.source import Source
from include.contract.table import Column
from include.contract.types import DECIMALS, Type


@dataclass(frozen=True)
class SourceDefinition:
    """The definition that a copy of a source was made by.

    Attributes:
        statement: a digest of the shop's SQL.
        columns: type by column that is read, and whose key it holds.
        derived: a digest of how each derived column is computed, by name.
        rules: a digest of each rule that quarantines a row or stops a night, by name.
    """

    statement: str
    columns: Mapping[str, str]
    derived: Mapping[str, str]
    rules: Mapping[str, str]

    @classmethod
    def of(cls, source: Source, statement: str, sources: Collection[str], timezone: str) -> Self:
        """The definition of a source as it is declared now.

        Args:
            source: the source, with its key types resolved.
            statement: the shop's SQL.
            sources: the names of all of the shop's sources: a derived column that needs another one is null.
            timezone: the shop's: it decides the business day.
        """
        derived = {
            one.column.lake_name: _digest(
                _type(one.column),
                one.whole_sql,
                [need in sources for need in one.needs],
                timezone if "business_day(" in one.whole_sql else "",
            )
            for one in source.all_derived
        }
        rules = {
            rule.name: _digest(rule.broken_sql, rule.severity)
            for rule in source.all_rules
            if rule.severity is not Severity.WARN
        }
        rules |= {f"follows_{column.key_of}": "part" for column in source.columns if column.part_of}
        if source.whole and source.whole.parts in sources:
            rules[source.whole.rule] = _digest(source.whole.parts, source.whole.sum_sql, source.whole.equals)
        columns = {column.name: _kind(column, of_key=column.name in source.primary_key) for column in source.columns}
        return cls(_digest(statement), columns, derived, rules)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """What ``as_json`` gave."""
        return cls(**kept)

    def as_json(self) -> dict[str, Any]:
        """It in plain values, as the ledger keeps it."""
        return asdict(self)


@dataclass(frozen=True)
class Changes:
    """What of a definition is another one than that of the copy, a few words each.

    Attributes:
        read: what makes the source be read anew.
        derived: what makes its derived columns be computed anew.
        checked: what makes its rows be checked anew.
    """

    read: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.read, *self.derived, *self.checked)

    @classmethod
    def between(cls, before: SourceDefinition | None, now: SourceDefinition) -> Self:
        """What changed since a copy was made.

        Args:
            before: its definition; None where that is not known.
            now: the definition of now.
        """
        if before is None:
            return cls(read=("the definition of the copy is not known",))
        read = tuple(_changed("column", before.columns, now.columns, say=True))
        if before.statement != now.statement:
            read += ("its SQL is another one",)
        # What a removed rule held is in quarantine, which is checked every night.
        rules = {name: digest for name, digest in before.rules.items() if name in now.rules}
        return cls(
            read,
            tuple(_changed("derived column", before.derived, now.derived)),
            tuple(_changed("rule", rules, now.rules)),
        )


def _kind(column: Column, *, of_key: bool) -> str:
    """What decides how a column is read: its type, whether it is of the key, its default, its decimals and rounding."""
    said = [_type(column)]
    said += ["of the key"] * of_key
    said += [f"{'null' if column.default is None else column.default} where the shop has none"] * column.optional
    said += [f"{column.decimals} decimals"] * (column.type is Type.CENTS and column.decimals != DECIMALS)
    said += [f"{column.unit_decimals} decimals"] * (column.type is Type.UNITS and column.unit_decimals != 0)
    said += [f"rounded {column.rounding}"] * (column.rounding is not None)
    return ", ".join(said)


def _type(column: Column) -> str:
    """A column's type; whole units are the integers that they were before units could have decimals."""
    return str(Type.INTEGER if column.type is Type.UNITS and not column.unit_decimals else column.type)


def _changed(what: str, before: Mapping[str, str], now: Mapping[str, str], *, say: bool = False) -> Iterator[str]:
    for name in now:
        if name not in before:
            yield f"{what} {name} is new"
        elif before[name] != now[name]:
            yield f"{what} {name} is {now[name]}, was {before[name]}" if say else f"{what} {name} is another one"
    for name in before:
        if name not in now:
            yield f"{what} {name} is gone"


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr([str(part) for part in parts]).encode()).hexdigest()[:16]
