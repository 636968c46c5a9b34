"""Table and Column: declared once, checked when declared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Self

from include.contract.dimension import Dimensions
from include.contract.rebuild import Rebuild
from include.contract.rules import ContractError, Rule, between, filled
from include.contract.types import DECIMALS, UNIT_DECIMALS, Rounding, Type

_NAME = re.compile(r"^_?[a-z][a-z0-9_]*$")

# What the gate knows of a row beyond its columns: source values the lake cannot hold, as text; how many rows carry
# its key; when the snapshot was taken.
GATE_COLUMNS = ("_unreadable", "_copies", "_snapshot_at")


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: its name in Postgres (an amount without unit suffix).
        type: what it holds. A key column's type is declared in its source; ``key_of`` columns follow that.
        doc: what it means, with its unit; one sentence.
        nullable: whether null has a meaning; say which in ``doc``.
        key_of: the source whose primary key this column holds.
        key_name: what that key is called there; empty where it is called as this column is.
        part_of: whether the row belongs to that source's row and shares its fate at the gate (an item of its order).
        optional: whether a shop's statement may leave the column out; every row then has the default.
        default: what every row of a shop without the column has, as the shop would give it; None is null.
        rounding: how a shop's amount that is finer than its smallest unit is read; None: it is not readable.
        decimals: of an amount, in the lake and in Postgres.
        unit_decimals: of a quantity, in the same.
    """

    name: str
    type: Type
    doc: str
    nullable: bool = False
    key_of: str | None = None
    key_name: str = ""
    part_of: bool = False
    optional: bool = False
    default: int | None = None
    rounding: Rounding | None = None
    decimals: int = DECIMALS
    unit_decimals: int = UNIT_DECIMALS

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ContractError(f"column {self.name!r}: a name is lower-case snake_case")
        if not self.doc:
            raise ContractError(f"column {self.name}: say what it means")
        if self.part_of and not self.key_of:
            raise ContractError(f"column {self.name}: part_of needs key_of")
        if self.key_name and (self.part_of or not self.key_of):
            raise ContractError(f"column {self.name}: key_name is of a key, and a part holds it by its own name")
        if self.optional and self.default is None and not self.nullable:
            raise ContractError(f"column {self.name}: an optional column that is never null needs a default")
        if self.default is not None and not (self.optional and self.type in (Type.CENTS, Type.INTEGER, Type.UNITS)):
            raise ContractError(f"column {self.name}: a default is a number, of an optional column")

    @property
    def lake_name(self) -> str:
        """Its name in the lake: amounts carry their unit."""
        return f"{self.name}_cents" if self.type is Type.CENTS else self.name

    @property
    def owner_key(self) -> str:
        """What the key that it holds is called in the source whose key it is."""
        return self.key_name or self.name

    @property
    def places(self) -> int:
        """The decimals of its values: those of an amount, or of a quantity."""
        return self.unit_decimals if self.type is Type.UNITS else self.decimals

    @property
    def postgres(self) -> str:
        """Its type in Postgres DDL."""
        return self.type.postgres(self.places)

    def to_warehouse_sql(self, value: str | None = None) -> str:
        """A DuckDB expression of what Postgres holds.

        Args:
            value: an expression of its value in the lake; the column itself, unless given.
        """
        return self.type.to_warehouse_sql(value or self.lake_name, self.places)

    @property
    def shown_sql(self) -> str:
        """A DuckDB expression of its value in the lake as people are shown it: a quantity as the shop writes it."""
        return self.to_warehouse_sql() if self.type is Type.UNITS else self.lake_name


@dataclass(frozen=True)
class Table:
    """One table: its grain, columns, key and rules.

    Attributes:
        schema: ``source``, ``reporting`` or ``features``.
        name: the file stem of its declaration, its test, its asset and its page.
        grain: "One row per …".
        columns: in order.
        primary_key: names of the columns no two rows share.
        rules: what every row satisfies, beyond what follows from the columns (``all_rules``).
        rebuild: how much a night computes again.
        doc: what a reader must know beyond the grain.
        carries: whose dimensions are columns of it: of ``orders``, or of ``lines``, which have those of their order
            too; None where they are not.

    Raises:
        ContractError: when the declaration contradicts itself.
    """

    schema: str
    name: str
    grain: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    rebuild: Rebuild = field(default_factory=Rebuild.full)
    doc: str = ""
    carries: Literal["orders", "lines"] | None = None

    def __post_init__(self) -> None:
        if self.schema not in ("source", "reporting", "features"):
            raise ContractError(f"{self.name}: unknown schema {self.schema!r}")
        if not _NAME.match(self.name):
            raise ContractError(f"table {self.name!r}: a name is lower-case snake_case")
        if not self.grain.startswith("One row per "):
            raise ContractError(f"{self.name}: the grain starts with 'One row per '")
        self._check_key()
        self._check_rules()

    def _check_rules(self) -> None:
        self._check_unique("column", [column.lake_name for column in self.lake_columns])
        self._check_unique("rule", [rule.name for rule in self.all_rules])
        known = {column.lake_name for column in self.lake_columns} | set(GATE_COLUMNS)
        for rule in self.all_rules:
            if unknown := sorted(rule.reads - known):
                raise ContractError(f"{self.name}: rule {rule.name} reads unknown columns {unknown}")

    def _check_key(self) -> None:
        for name in self.primary_key:
            if name not in self._by_name:
                raise ContractError(f"{self.name}: primary key column {name!r} is not declared")
            if self._by_name[name].nullable:
                raise ContractError(f"{self.name}.{name}: a primary key is never null")
        if not self.primary_key:
            raise ContractError(f"{self.name}: no primary key")
        if self.rebuild.column and self.rebuild.column not in self._by_name:
            raise ContractError(f"{self.name}: rebuild column {self.rebuild.column!r} is not declared")

    def _check_unique(self, what: str, names: list[str]) -> None:
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ContractError(f"{self.name}: {what} declared twice: {', '.join(repeated)}")

    @cached_property
    def _by_name(self) -> Mapping[str, Column]:
        return {column.name: column for column in self.columns}

    def __getitem__(self, name: str) -> Column:
        """The column of this name.

        Raises:
            KeyError: naming table and column.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise KeyError(f"{self.name} has no column {name!r}") from None

    @property
    def decimals(self) -> int:
        """Of its amounts, and of every other table's of the shop."""
        return self.columns[0].decimals

    @property
    def unit_decimals(self) -> int:
        """Of its quantities, and of every other table's of the shop."""
        return self.columns[0].unit_decimals

    @property
    def qualified_name(self) -> str:
        """``schema.name``."""
        return f"{self.schema}.{self.name}"

    @cached_property
    def lake_columns(self) -> tuple[Column, ...]:
        """The columns of the table in the lake, in order."""
        return self.columns

    @property
    def implied_rules(self) -> tuple[Rule, ...]:
        """The rules that follow from the columns: one row per key, and a column that is not nullable is filled."""
        return (
            between("_copies", "one_row_per_key", f"No two rows share {', '.join(self.primary_key)}.", most=1),
            *(
                filled(column.lake_name, f"{column.name}_filled", f"{column.name} has a value.")
                for column in self.columns
                if not column.nullable
            ),
        )

    @cached_property
    def all_rules(self) -> tuple[Rule, ...]:
        """Everything a row satisfies."""
        return self.implied_rules + self.rules

    def without(self, rule: str) -> Self:
        """The same table of a shop whose rows need not satisfy a rule.

        Raises:
            ContractError: when the table has no such rule.
        """
        if rule not in {one.name for one in self.rules}:
            raise ContractError(f"{self.name} has no rule {rule}")
        return replace(self, rules=tuple(one for one in self.rules if one.name != rule))

    def typed(self, keys: Mapping[str, Type], decimals: int = DECIMALS, unit_decimals: int = UNIT_DECIMALS) -> Self:
        """The same table with the key types that a shop's sources declare, and the decimals that it counts with.

        Args:
            keys: the key types that the shop's sources declare.
            decimals: of its amounts.
            unit_decimals: of its quantities.
        """

        def typed(column: Column) -> Column:
            owner = column.key_of or (self.name if (column.name,) == self.primary_key else None)
            kind = keys.get(owner, column.type) if owner else column.type
            return replace(column, type=kind, decimals=decimals, unit_decimals=unit_decimals)

        rules = tuple(one.in_decimals(unit_decimals) for one in self.rules)
        return replace(self, columns=tuple(typed(column) for column in self.columns), rules=rules)

    def of_shop(
        self,
        keys: Mapping[str, Type],
        dimensions: Dimensions,
        decimals: int = DECIMALS,
        unit_decimals: int = UNIT_DECIMALS,
    ) -> Self:
        """The table as a shop has it: with its key types and decimals, and a column for each of its dimensions.

        Args:
            keys: the key types that the shop's sources declare.
            dimensions: the shop's dimensions.
            decimals: of its amounts.
            unit_decimals: of its quantities.

        Raises:
            ContractError: when a dimension has the name of a column that the table has anyway.
        """
        carried = [one for one in dimensions if self.carries == "lines" or (self.carries and not one.of_line)]
        for one in carried:
            if (one.name in self._by_name) != one.built_in:
                said = "has no column for it" if one.built_in else "has a column of that name: choose another"
                raise ContractError(f"dimensions.toml: [{one.name}]: {self.qualified_name} {said}")
        added = (Column(one.name, Type.TEXT, one.meaning, nullable=True) for one in carried if not one.built_in)
        typed = self.typed(keys, decimals, unit_decimals)
        return replace(typed, columns=(*typed.columns, *added))


def key(source: str, name: str, doc: str, *, part_of: bool = False, nullable: bool = False, called: str = "") -> Column:
    """A column that holds another source's key; it takes that key's type, whatever a shop declares it to be.

    Args:
        source: whose key it is.
        name: the column.
        doc: see Column.
        part_of: see Column.
        nullable: see Column.
        called: what the key is called in its source, where that is not the column's name.
    """
    return Column(name, Type.INTEGER, doc, nullable=nullable, key_of=source, key_name=called, part_of=part_of)
