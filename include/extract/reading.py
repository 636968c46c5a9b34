"""How a column of the shop is read as a type of the contract, by its type in Postgres; where it is not, what to write.

Nothing is rounded on the way, but amounts where the shop's folder says how (``Column.rounding``). A value that does not
fit is for the gate's rule ``readable``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from include.contract import Column, Type

_WHOLE: Final = ("smallint", "integer", "bigint")
# As text: a cast to numeric rounds a real to 6 digits, a double precision to 15. Their text has as many as they need.
_FLOATS: Final = ("real", "double precision")
_EXACT: Final = "({})::text::numeric"
_TEXTS: Final = ("text", "character varying", "character", "name", "citext")

# By type of the contract and type in Postgres, an expression of a type that the lake's is made from.
_READ: Final[Mapping[Type, Mapping[str, str]]] = MappingProxyType(
    {
        Type.INTEGER: {**dict.fromkeys((*_WHOLE, "numeric"), "{}"), **dict.fromkeys(_FLOATS, _EXACT)},
        Type.UNITS: {**dict.fromkeys((*_WHOLE, "numeric"), "{}"), **dict.fromkeys(_FLOATS, _EXACT)},
        Type.CENTS: {
            "numeric": "{}",
            **dict.fromkeys((*_WHOLE, "money"), "({})::numeric"),
            **dict.fromkeys(_FLOATS, _EXACT),
        },
        Type.AT: {"timestamp with time zone": "{}"},
        Type.BOOLEAN: {"boolean": "{}"},
        Type.UUID: {"uuid": "{}"},
        Type.JSON: {"json": "{}", "jsonb": "{}"},
        Type.DAY: {"date": "{}"},
        Type.MONTH: {"date": "{}"},
        Type.RATIO: dict.fromkeys((*_WHOLE, "numeric", *_FLOATS), "{}"),
    }
)
_NULL: Final[Mapping[Type, str]] = MappingProxyType(
    {Type.CENTS: "({})::numeric", **{kind: f"({{}})::{kind.postgres()}" for kind in Type if kind is not Type.CENTS}}
)
# What to write instead: of a text, of a number, of anything else.
_WRITE: Final[Mapping[Type, Mapping[str, str]]] = MappingProxyType(
    {
        Type.INTEGER: {"text": "nullif({}, '')::bigint", "boolean": "({})::integer"},
        Type.UNITS: {"text": "nullif({}, '')::numeric"},
        Type.CENTS: {"text": "nullif({}, '')::numeric"},
        Type.AT: {
            "timestamp without time zone": "{} at time zone '{zone}'",
            "date": "{}::timestamp at time zone '{zone}'",
            "text": "nullif({}, '')::timestamp at time zone '{zone}'",
            "bigint": "to_timestamp({} / 1000.0)",  # milliseconds: seconds fit an integer until 2038
            "number": "to_timestamp({})",
        },
        Type.BOOLEAN: {"text": "lower({}) in ('t', 'true', 'y', 'yes', '1')", "number": "{} <> 0"},
        Type.UUID: {"text": "nullif({}, '')::uuid"},
        Type.JSON: {"": "to_jsonb({})"},
        Type.DAY: {"": "{}::date"},
        Type.MONTH: {"": "{}::date"},
        Type.RATIO: {"text": "nullif({}, '')::double precision"},
    }
)
_CALLED: Final[Mapping[Type, str]] = MappingProxyType(
    {
        Type.INTEGER: "a whole number",
        Type.UNITS: "a number of units",
        Type.CENTS: "an amount",
        Type.AT: "an instant (timestamptz)",
        Type.BOOLEAN: "a boolean",
        Type.JSON: "JSON",
        Type.UUID: "a uuid",
        Type.DAY: "a day (date)",
        Type.MONTH: "a month (date)",
        Type.RATIO: "a number",
        Type.TEXT: "a text",
    }
)


@dataclass(frozen=True)
class Reading:
    """How the columns of one statement are read.

    Attributes:
        casts: by column, a format of an expression; ``{}`` is the column as the statement gives it. One that it leaves
            out is an expression of its default.
        fractional: the whole numbers that the shop keeps in a type with decimals; each value is checked for them.
    """

    casts: Mapping[str, str] = field(default_factory=dict)
    fractional: frozenset[str] = frozenset()

    def columns_sql(self) -> str | None:
        """The select list that reads the columns so; None where nothing is to be done."""
        if all(cast == "{}" for cast in self.casts.values()):
            return None
        return ", ".join(f"{cast.format(f'shop.{name}')} as {name}" for name, cast in self.casts.items())


AS_GIVEN: Final = Reading()


def cast_of(kind: Type, found: str, *, is_null: bool = False) -> str | None:
    """How a column is read; None where it cannot be.

    Args:
        kind: its type in the contract.
        found: its type in Postgres, without length or precision.
        is_null: whether it is a null without a type, which Postgres calls a text.
    """
    if is_null:
        return _NULL[kind]
    return "{}" if kind is Type.TEXT else _READ[kind].get(found)


def default_sql(column: Column) -> str:
    """A Postgres expression of what every row has of an optional column that a statement leaves out."""
    return f"{'null' if column.default is None else column.default}::{column.postgres}"


def may_hold_fractions(kind: Type, found: str) -> bool:
    """Whether a whole number comes in a type that may hold fractions, or more digits than fit."""
    return kind in (Type.INTEGER, Type.UNITS) and found in ("numeric", *_FLOATS)


def what_to_write(kind: Type, found: str, expression: str, zone: str) -> str | None:
    """An expression of the right type, as the .sql file would have it; None where none is known."""
    family = "text" if found in _TEXTS else "number" if found in (*_WHOLE, "numeric", *_FLOATS) else found
    ways = _WRITE.get(kind, {})
    way = ways.get(found) or ways.get(family) or ways.get("")
    return way.format(expression, zone=zone) if way else None


def called(kind: Type) -> str:
    """A type of the contract, for a message."""
    return _CALLED[kind]


def is_text(found: str) -> bool:
    """Whether a type of Postgres is a text."""
    return found in _TEXTS


def is_number(found: str) -> bool:
    """Whether a type of Postgres is a whole number."""
    return found in _WHOLE


def is_float(found: str) -> bool:
    """Whether a type of Postgres is a number that most decimals do not fit into."""
    return found in _FLOATS
