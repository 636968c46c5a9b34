"""Source, Whole: a table of the shop, as the night reads it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Self

from include.contract.currency import SHOP_DECIMALS
from include.contract.derived import Derived, Lookup
from include.contract.dimension import Dimension, Dimensions
from include.contract.rules import Condition, ContractError, Rule, Severity, empty, one_of
from include.contract.table import Column, Table
from include.contract.types import DECIMALS, UNIT_DECIMALS, Rounding, Type
from include.contract.units import in_decimals

VERSIONS: Final = "_versions"  # how the table of a source's versions is called, behind the source's name
BEGINNING: Final = 0  # the day from which the first versions hold, as a day number: what was before is not known

TOLERATED_ROWS = 10  # rows in quarantine, or deleted, that nobody need approve: one in a table of 40 is no catastrophe


@dataclass(frozen=True)
class Whole:
    """What a row's accepted parts must add up to, or the row is quarantined with them.

    Attributes:
        parts: the source whose rows are ``part_of`` this one's.
        sum_sql: a DuckDB aggregate over the parts that passed the gate (alias ``part``).
        equals: the lake column of this source that the sum must equal.
        counted: a DuckDB predicate over them: which of them count; one that does not adds nothing to the sum.
        rule: the rule's name, as the quarantine shows it.
        meaning: one sentence for a person.
    """

    parts: str
    sum_sql: str
    counted: str
    equals: str
    rule: str
    meaning: str


@dataclass(frozen=True)
class Source(Table):
    """A table of the shop, as the night reads it.

    Attributes:
        watermark: the column that says when a row was last written.
        begins: the day column from which the row exists (an order's ``ordered_on``); None for one without a day.
        opens_calendar: whether its first row is the shop's first day (a customer may be older than the shop).
        later: for each later event's day column, the columns unknown before it (a cancellation and its reason).
        unsettled: other columns that the shop still writes after a row's first day.
        asks_about: the measures of its days (``gate.measures``) of which an unusual one waits for an operator's
            approval, as patterns of their names (``rows``, ``tax of *``, ``*``); any other is a warning.
        derived: columns computed before the gate.
        whole: what the accepted parts of a row must add up to; None where a row has no parts.
        amount: a DuckDB expression of the money a row stands for, in cents; None where it stands for none.
        currency: the lake column with that money's currency.
        history: the columns of which lake/clean keeps every version (``versions``); none where it keeps no versions.
            No personal data: what the shop deletes of it must not stay here.
        judged_whole: whether every row is checked every night, changed or not: for a small table whose derived
            columns follow another's changes.
        optional: whether a shop may do without it: one without its file has no rows of it, and every table all the
            same. Any other source that is absent is unknown, and the tables that read it are left out.
        dimensions: what sales can be grouped by and its rows in the lake have.
        added: the columns in the lake that no other shop has: this one's folder declares them for its dimensions.
        counted: whether a shop keeps no such rows, and they are made of its nightly counts (``contract.counted``): they
            are in lake/clean, and neither read nor checked.
        tolerance: the share of the table's rows that may be quarantined without an operator's approval.
        deletion_tolerance: the share of its rows that may be gone since the night before without that approval.
    """

    watermark: str = "updated_at"
    begins: str | None = None
    opens_calendar: bool = False
    later: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unsettled: tuple[str, ...] = ()
    asks_about: tuple[str, ...] = ()
    derived: tuple[Derived, ...] = ()
    whole: Whole | None = None
    amount: str | None = None
    currency: str | None = None
    history: tuple[str, ...] = ()
    judged_whole: bool = False
    optional: bool = False
    dimensions: Dimensions = ()
    added: tuple[str, ...] = ()
    counted: bool = False
    tolerance: float = 0.02
    deletion_tolerance: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schema != "source":
            raise ContractError(f"{self.name}: a Source lives in the schema 'source'")
        named = {self.watermark, *self.later, *(name for names in self.later.values() for name in names)}
        known = {column.lake_name for column in self.lake_columns}
        if unknown := sorted((named | ({self.begins} if self.begins else set())) - known):
            raise ContractError(f"{self.name}: watermark, begins or later names unknown columns {unknown}")
        if unknown := sorted({one.column for one in self.dimensions} - known):
            raise ContractError(f"{self.name}: dimensions name unknown columns {unknown}")
        lookups = [lookup for one in self.derived for lookup in one.lookups]
        if twice := sorted(
            {one.name for one in lookups for other in lookups if one.name == other.name and one != other}
        ):
            raise ContractError(f"{self.name}: two lookups have the name {', '.join(twice)}")
        if unknown := sorted(
            set(self.history) - {column.name for column in self.columns} | {*self.history} & {*self.primary_key}
        ):
            raise ContractError(f"{self.name}: history names {unknown}, which are no columns beside the key")

    def typed(self, keys: Mapping[str, Type], decimals: int = DECIMALS, unit_decimals: int = UNIT_DECIMALS) -> Self:
        """The same source with a shop's key types, and the decimals that it counts with, derived columns too.

        Args:
            keys: the shop's key types.
            decimals: of its amounts.
            unit_decimals: of its quantities.
        """
        said = SHOP_DECIMALS.replace(str(DECIMALS), str(decimals), 1)

        def written(sql: str) -> str:
            return in_decimals(sql.replace(SHOP_DECIMALS, said), unit_decimals)

        derived = tuple(one.typed(decimals, unit_decimals, written) for one in self.derived)
        whole = self.whole and replace(self.whole, sum_sql=written(self.whole.sum_sql))
        return replace(super().typed(keys, decimals, unit_decimals), derived=derived, whole=whole)

    def rounded(self, rounding: Rounding) -> Self:
        """The same source of a shop whose amounts are finer than its smallest unit.

        What a sum may differ from its parts by follows: at most half a unit for each of them, and for itself.
        """
        columns = tuple(
            replace(column, rounding=rounding) if column.type is Type.CENTS else column for column in self.columns
        )
        derived = tuple(replace(one, sql=one.where_rounded or one.sql) for one in self.derived)
        return replace(self, columns=columns, derived=derived)

    def deriving(self, column: str, sql: str) -> Self:
        """The same source of a shop in which a derived column is computed otherwise.

        Raises:
            ContractError: when the source derives no such column.
        """
        if column not in {one.column.name for one in self.derived}:
            raise ContractError(f"{self.name} derives no column {column}")
        derived = tuple(
            replace(one, sql=sql, where_rounded="", lookups=()) if one.column.name == column else one
            for one in self.derived
        )
        return replace(self, derived=derived)

    def with_column(self, added: Column | Derived) -> Self:
        """The same source of a shop that has a column more, which is read of it or derived."""
        if isinstance(added, Derived):
            derived, columns, name = (*self.derived, added), self.columns, added.column.lake_name
        else:
            derived, columns, name = self.derived, (*self.columns, added), added.lake_name
        return replace(self, columns=columns, derived=derived, added=(*self.added, name))

    def with_dimension(self, dimension: Dimension) -> Self:
        """The same source of a shop with one dimension more, of a column that it has."""
        return replace(self, dimensions=(*self.dimensions, dimension))

    @property
    def key_columns(self) -> tuple[Column, ...]:
        """The columns that hold another source's key."""
        return tuple(column for column in self.columns if column.key_of)

    @cached_property
    def all_derived(self) -> tuple[Derived, ...]:
        """The declared ones, then for every key of another source whether that row exists."""
        return self.derived + tuple(_exists(column) for column in self.key_columns)

    @cached_property
    def lake_columns(self) -> tuple[Column, ...]:
        """The columns of the source in the lake: what is read, then what is derived."""
        return self.columns + tuple(derived.column for derived in self.all_derived)

    @property
    def versions(self) -> Source:
        """What lake/clean keeps of the history of its rows, a table like a source's.

        ``build.as_known`` leaves out what begins after a day, and an end after it is null: then the versions that hold
        on that day are those without an end.

        Raises:
            ContractError: when no versions are kept of it.
        """
        if not self.history:
            raise ContractError(f"{self.name}: no versions are kept of it: it declares no history")
        days = (
            Column("valid_from", Type.DAY, "The first business day on which it held; 1970-01-01 of the first nights'."),
            Column("valid_to", Type.DAY, "The first day on which it held no more; null while it holds.", nullable=True),
        )
        return Source(
            schema=self.schema,
            name=f"{self.name}{VERSIONS}",
            grain=f"One row per version of a row of {self.name}.",
            columns=(
                # No key of another source: whether that row is there is asked of the source's own row.
                *(replace(self[name], key_of=None, key_name="") for name in self.primary_key),
                *days,
                *(replace(self[name], nullable=True) for name in self.history),
            ),
            primary_key=(*self.primary_key, "valid_from"),
            watermark="valid_from",
            begins="valid_from",
            later={"valid_to": ()},
        )

    def read_by(self, rules: Collection[str]) -> set[str]:
        """The columns that some rules read, by their names; of what is derived, the columns behind it too."""
        read = {name for rule in self.all_rules if rule.name in rules for name in rule.reads}
        read |= {one.lake_name for one in self.columns if one.part_of and f"follows_{one.key_of}" in rules}
        if self.whole and self.whole.rule in rules:
            read.add(self.whole.equals)
        for derived in self.all_derived:
            if derived.column.lake_name in read:
                read |= derived.own_columns
        return read

    def meaning_of(self, rule: str) -> str:
        """What a rule means that holds a row, also one about its family, which the gate alone checks."""
        if rule.startswith("follows_"):
            return f"Held with its row of {rule.removeprefix('follows_')}."
        if self.whole and self.whole.rule == rule:
            return self.whole.meaning
        return next((one.meaning for one in self.all_rules if one.name == rule), "")

    @property
    def implied_rules(self) -> tuple[Rule, ...]:
        """Every value is readable, then what holds for any table, and keys of other sources exist.

        A row that is part of another is nothing without it. Any other key may be of a row that the shop deleted: what
        happened, happened all the same, and is published with a warning.
        """
        return (
            empty(
                "_unreadable",
                "readable",
                "Every value fits its column's type (no NaN, no fraction of a cent unless it is rounded, no part of a"
                " unit unless shop.toml says its decimals).",
            ),
            *super().implied_rules,
            *(
                one_of(
                    exists_name(column),
                    exists_name(column),
                    f"{column.name} is a row of {column.key_of}.",
                    [True],
                    when=Condition(column.name),
                    severity=Severity.QUARANTINE if column.part_of else Severity.WARN,
                )
                for column in self.key_columns
            ),
        )


def exists_name(column: Column) -> str:
    """The lake column that says whether the row that a key names is there."""
    return f"{column.name.removesuffix('_id')}_exists"


def _exists(column: Column) -> Derived:
    """Whether the row that a key names is in the shop."""
    owner, name = column.key_of or "", exists_name(column)
    rows = Lookup(
        f"its_{name}",
        f"{owner} as other",
        {f"other.{column.owner_key}": column.name},
        {"rows": "nullif(count(*), 0)"},
    )
    return Derived(
        Column(name, Type.BOOLEAN, f"Whether {column.name} is a row of {owner}.", nullable=True),
        f"{rows.name}.rows is not null",
        (owner,),
        lookups=(rows,),
    )
