"""The sets and columns that a training set asks for, by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from include.contract import Column, Table
from include.settings import settings
from include.sources import shop_tables
from include.training.errors import MissingColumn, UnknownFeatureSet
from transforms.registry import TABLES


@dataclass(frozen=True)
class Wanted:
    """One set of a request.

    Attributes:
        table: its table, with the shop's key types.
        columns: the columns asked for, in the table's order, without the key.
    """

    table: Table
    columns: tuple[Column, ...]

    @property
    def is_label(self) -> bool:
        """Whether it holds labels, which describe what followed a day."""
        return _holds_labels(self.table)

    @property
    def slice_column(self) -> str:
        """The column with a row's as-of day."""
        return self.table.rebuild.column or ""

    @property
    def keys(self) -> tuple[Column, ...]:
        """The columns that identify its entity."""
        return tuple(self.table[name] for name in self.table.primary_key if name != self.slice_column)

    def named(self, column: str) -> str:
        """The name of one of its columns in a training set."""
        return f"{self.table.name}__{column}"


def wanted(features: Iterable[str], labels: Iterable[str]) -> list[Wanted]:
    """Resolve the sets that are asked for.

    Args:
        features: ``customer_activity`` for all its columns, ``customer_activity.recency_days`` for one.
        labels: sets of labels, written in the same way.

    Raises:
        UnknownFeatureSet: when there is no such set, or labels are asked for as features or the other way round.
        MissingColumn: when a set has no such column.
    """
    found = [*_sets(features, labels=False), *_sets(labels, labels=True)]
    if not found:
        raise UnknownFeatureSet(f"name at least one feature set: {', '.join(names(labels=False))}")
    return found


def names(*, labels: bool) -> list[str]:
    """The names of all feature sets, or of all sets of labels."""
    return [
        name
        for name, one in TABLES.items()
        if one.table.schema == "features" and _holds_labels(one.table) is labels
    ]  # fmt: skip


def _holds_labels(table: Table) -> bool:
    return table.rebuild.lag_days > 0


def _sets(asked: Iterable[str], *, labels: bool) -> list[Wanted]:
    by_set: dict[str, list[str]] = {}
    for text in asked:
        name, _, column = text.partition(".")
        by_set.setdefault(name, []).append(column)
    return [_set(name, columns, labels=labels) for name, columns in by_set.items()]


def _set(name: str, asked: Sequence[str], *, labels: bool) -> Wanted:
    if name not in names(labels=labels):
        kind, other = ("set of labels", "features") if labels else ("feature set", "labels")
        hint = f": it holds {other}, ask for it as such" if name in names(labels=not labels) else ""
        raise UnknownFeatureSet(f"no {kind} is called {name!r}{hint}; there are {', '.join(names(labels=labels))}")
    table = shop_tables([TABLES[name].table], settings().sources)[0]
    own = [column for column in table.columns if column.name not in table.primary_key]
    if unknown := sorted(set(asked) - {""} - {spelling for one in own for spelling in (one.name, one.lake_name)}):
        raise MissingColumn(
            f"{name} has no column {', '.join(unknown)}; there are {', '.join(one.lake_name for one in own)}"
        )
    return Wanted(table, tuple(one for one in own if "" in asked or {one.name, one.lake_name} & set(asked)))
