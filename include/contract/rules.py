"""Rules: what a row must satisfy, said once, for two checkers: Great Expectations and the engine.

Each rule carries a Great Expectations expectation (which counts) and the DuckDB predicate of a broken row (which
selects). The gate runs both and stops when they disagree. A null breaks no rule but ``filled``: whether a column may
be null is a rule of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self


class ContractError(ValueError):
    """A declaration that contradicts itself; the message names table and column, or the rule."""


class Severity(StrEnum):
    """What a broken rule does."""

    QUARANTINE = "quarantine"  # the row is kept aside with its reasons
    STOP = "stop"  # nothing is published tonight
    WARN = "warn"  # recorded


@dataclass(frozen=True)
class Condition:
    """The rows a rule speaks of.

    Attributes:
        column: a column in its lake name.
        equals: the value the column must have; None means "is not null".
        negated: whether it is every other value that is meant (a null still is not).
    """

    column: str
    equals: str | None = None
    negated: bool = False

    @property
    def sql(self) -> str:
        """The DuckDB predicate of the rows the rule speaks of."""
        if self.equals is None:
            return f"{self.column} is not null"
        comparison = "<>" if self.negated else "="
        return f"coalesce({self.column} {comparison} {_literal(self.equals)}, false)"


@dataclass(frozen=True)
class Rule:
    """One rule of one table.

    Attributes:
        name: snake_case, unique within the table: what the quarantine and the report show.
        meaning: one sentence for a person.
        expectation: the Great Expectations class, e.g. ``ExpectColumnValuesToNotBeNull``.
        arguments: its arguments, with columns in their lake names.
        broken: the DuckDB predicate that is true for a row that breaks the rule (before ``when``).
        columns: the lake columns it reads.
        when: the rows it speaks of; None means all.
        severity: what a broken row does.
        in_units: whether its bounds are numbers of units; otherwise they are what the lake holds.
    """

    name: str
    meaning: str
    expectation: str
    arguments: Mapping[str, Any]
    broken: str
    columns: tuple[str, ...]
    when: Condition | None = None
    severity: Severity = Severity.QUARANTINE
    in_units: bool = False

    def in_decimals(self, decimals: int) -> Self:
        """The same rule in a shop whose units have decimals: its bounds in the smallest unit.

        Args:
            decimals: of the shop's units.
        """
        if not (self.in_units and decimals):
            return self
        column, least, most = (self.arguments[name] for name in ("column", "min_value", "max_value"))
        least, most = (None if bound is None else bound * 10**decimals for bound in (least, most))
        arguments = {"column": column, "min_value": least, "max_value": most}
        return replace(self, arguments=arguments, broken=_outside(column, least, most), in_units=False)

    @property
    def broken_sql(self) -> str:
        """The DuckDB predicate of a broken row; never null."""
        predicate = f"coalesce({self.broken}, false)"
        return f"({self.when.sql} and {predicate})" if self.when else predicate

    @property
    def reads(self) -> frozenset[str]:
        """Every lake column the rule looks at."""
        return frozenset(self.columns) | ({self.when.column} if self.when else frozenset())


def filled(
    column: str, name: str, meaning: str, when: Condition | None = None, severity: Severity = Severity.QUARANTINE
) -> Rule:
    """The column has a value."""
    return Rule(
        name,
        meaning,
        "ExpectColumnValuesToNotBeNull",
        {"column": column},
        f"{column} is null",
        (column,),
        when,
        severity,
    )


def empty(
    column: str, name: str, meaning: str, when: Condition | None = None, severity: Severity = Severity.QUARANTINE
) -> Rule:
    """The column has no value."""
    return Rule(
        name,
        meaning,
        "ExpectColumnValuesToBeNull",
        {"column": column},
        f"{column} is not null",
        (column,),
        when,
        severity,
    )


def between(
    column: str,
    name: str,
    meaning: str,
    *,
    least: int | None = None,
    most: int | None = None,
    when: Condition | None = None,
    severity: Severity = Severity.QUARANTINE,
    in_units: bool = False,
) -> Rule:
    """The number lies within the bounds, both included.

    Args:
        column: a column in its lake name.
        name: see Rule.
        meaning: see Rule.
        least: the lower bound, if there is one.
        most: the upper bound, if there is one.
        when: see Rule.
        severity: see Rule.
        in_units: see Rule.

    Raises:
        ContractError: when there is no bound.
    """
    if least is None and most is None:
        raise ContractError(f"rule {name}: between nothing and nothing")
    return Rule(
        name,
        meaning,
        "ExpectColumnValuesToBeBetween",
        {"column": column, "min_value": least, "max_value": most},
        _outside(column, least, most),
        (column,),
        when,
        severity,
        in_units,
    )


def _outside(column: str, least: int | None, most: int | None) -> str:
    """A DuckDB predicate: a number is not within the bounds."""
    return " or ".join([f"{column} < {least}"] * (least is not None) + [f"{column} > {most}"] * (most is not None))


def one_of(
    column: str,
    name: str,
    meaning: str,
    values: Sequence[str | bool],
    when: Condition | None = None,
    severity: Severity = Severity.QUARANTINE,
) -> Rule:
    """The value is one of the given ones."""
    listed = ", ".join(_literal(value) for value in values)
    return Rule(
        name,
        meaning,
        "ExpectColumnValuesToBeInSet",
        {"column": column, "value_set": list(values)},
        f"{column} not in ({listed})",
        (column,),
        when,
        severity,
    )


def matches(column: str, name: str, meaning: str, pattern: str, severity: Severity = Severity.QUARANTINE) -> Rule:
    r"""The whole text matches the regular expression.

    Python's ``$`` lets a last line break pass and its ``\d`` knows every alphabet; DuckDB's RE2 does neither. Pandas
    uses the one or the other, as the data are.

    Args:
        column: a text column in its lake name.
        name: see Rule.
        meaning: see Rule.
        pattern: anchored with ``^`` and ``$``, its classes spelt out: ``[0-9]``.
        severity: see Rule.

    Raises:
        ContractError: when the pattern could mean two things.
    """
    if not (pattern.startswith("^") and pattern.endswith("$")):
        raise ContractError(f"rule {name}: the pattern {pattern!r} is not anchored with ^ and $")
    if found := re.search(r"\\[a-zA-Z]", pattern):
        raise ContractError(f"rule {name}: {found[0]} means one thing to Python and another to DuckDB; spell it out")
    whole = f"(?:{pattern[1:-1]})"
    return Rule(
        name,
        meaning,
        "ExpectColumnValuesToMatchRegex",
        {"column": column, "regex": rf"^{whole}\Z"},
        f"not regexp_matches({column}, {_literal(f'^{whole}$')})",
        (column,),
        None,
        severity,
    )


def equal(
    left: str,
    right: str,
    name: str,
    meaning: str,
    when: Condition | None = None,
    severity: Severity = Severity.QUARANTINE,
) -> Rule:
    """Two columns hold the same value."""
    return Rule(
        name,
        meaning,
        "ExpectColumnPairValuesToBeEqual",
        {"column_A": left, "column_B": right, "ignore_row_if": "either_value_is_missing"},
        f"{left} <> {right}",
        (left, right),
        when,
        severity,
    )


def at_most(
    left: str,
    right: str,
    name: str,
    meaning: str,
    when: Condition | None = None,
    severity: Severity = Severity.QUARANTINE,
) -> Rule:
    """One column's value is at most another's (instants: not later than)."""
    return Rule(
        name,
        meaning,
        "ExpectColumnPairValuesAToBeGreaterThanB",
        {"column_A": right, "column_B": left, "or_equal": True, "ignore_row_if": "either_value_is_missing"},
        f"{left} > {right}",
        (left, right),
        when,
        severity,
    )


def _literal(value: str | bool) -> str:
    """A DuckDB literal of a contract's own constant."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "'" + value.replace("'", "''") + "'"
