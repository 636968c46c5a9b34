"""The earliest day on which a shop can have traded, and the rule that nothing happened before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Final

from include.contract import Source
from include.contract.rules import Rule, between
from include.contract.types import day_number

# The first shops on the web opened in 1994 and 1995. One row dated 1970 would fill the calendar of every shelf with
# 20,000 empty days.
FIRST_DAY: Final = date(1995, 1, 1)
_ENDING: Final = "_in_our_time"


def in_our_time(column: str, thing: str, first_day: date = FIRST_DAY) -> Rule:
    """The rule that something is not older than any shop can be.

    Args:
        column: the day on which it happened, ending in ``_on``.
        thing: what it is, for a person.
        first_day: the first day on which it can have happened.
    """
    name = f"{column.removesuffix('_on')}{_ENDING}"
    return between(column, name, f"No {thing} is before {first_day}.", least=day_number(first_day))


def since(source: Source, first_day: date) -> Source:
    """The same source of a shop that traded from another day on."""

    def moved(rule: Rule) -> Rule:
        thing = rule.meaning.removeprefix("No ").partition(" is before ")[0]
        return in_our_time(rule.columns[0], thing, first_day) if rule.name.endswith(_ENDING) else rule

    return replace(source, rules=tuple(moved(rule) for rule in source.rules))
