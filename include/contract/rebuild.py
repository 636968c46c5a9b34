"""How much of a table a night computes again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from include.contract.rules import ContractError


@dataclass(frozen=True)
class Carried:
    """How a table of days goes on with a new day: each day opens with the sum of what moved before it.

    Whatever moves after the last day that was built changes only days from then on; of what moved before, its sums are
    enough to open them.

    Attributes:
        day: the table's column of days.
        moves: the input whose rows add up.
        moved_on: its column of days.
        per: its columns by which they add up: all that the build reads beside the next one.
        quantity: its column that is added up.
        last_day: the inputs that bear on no day but the last whole one.
    """

    day: str
    moves: str
    moved_on: str
    per: tuple[str, ...]
    quantity: str
    last_day: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rebuild:
    """How much of a table a night computes again.

    Attributes:
        kind: ``full``; ``by`` (rows with one value of ``column`` depend only on input rows with the same value, and on
            those that ``shared`` tells); or ``as_of`` (one slice a night, kept).
        column: the column of ``by`` and ``as_of``.
        through: of ``by``, where each input of the build holds a value of ``column``: in columns of its own, or
            (``order_item_id@refunds``) in that of another input whose row shares a column, or (``customer_id@orders``
            of ``orders``) of the input's own rows that share one; a null is shared by none. The inputs are cut to the
            values touched. Without it, the table is computed whole, and only what differs is replaced.
        filled: of ``by`` a day, where a group has a row for every day from its first one on: its column, with each
            input whose earliest row, by the first column that it goes through, may open it (``currency@orders``).
        daily: of ``by``, whether every value's rows change with the last whole day (one row more, days since then):
            the values touched say enough only when a night covers the same day again, or ``carried`` says how a new
            day follows.
        carried: of a ``daily`` table of days, how it goes on with a new one; None where it cannot.
        lag_days: how many days before the night its slice lies: what follows from those days is only then known.
    """

    kind: str
    column: str | None = None
    lag_days: int = 0
    through: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    filled: tuple[str, ...] = ()
    daily: bool = False
    carried: Carried | None = None

    def __post_init__(self) -> None:
        for name, paths in self.through.items():
            if unknown := sorted({path.partition("@")[2] for path in paths} - {"", *self.through}):
                raise ContractError(f"rebuild: {name} goes through {unknown}, which is not declared to hold a value")
        for opening in self.filled:
            if not self.own(opening.partition("@")[2]):
                raise ContractError(
                    f"rebuild: filled from {opening!r}: a column of the input's own says from which day"
                )
        if len({opening.partition("@")[0] for opening in self.filled}) > 1:
            raise ContractError(f"rebuild: filled from {', '.join(self.filled)}: a table has groups by one column")
        if self.carried and not (self.daily and {self.carried.moves, *self.carried.last_day} <= set(self.through)):
            raise ContractError("rebuild: what is carried on is daily, and goes through the inputs that it names")
        if self.lag_days < 0 or (self.lag_days and self.kind != "as_of"):
            raise ContractError(f"rebuild {self.kind!r} with a lag of {self.lag_days} days: only a slice lies earlier")
        if self.kind not in ("full", "by", "as_of") or (self.kind == "full") != (self.column is None):
            raise ContractError(f"rebuild {self.kind!r} with column {self.column!r}: full, by(column) or as_of(column)")

    @classmethod
    def full(cls) -> Rebuild:
        """Everything, every night."""
        return cls("full")

    @classmethod
    def by(
        cls,
        column: str,
        *,
        filled: str | tuple[str, ...] = (),
        daily: bool = False,
        carried: Carried | None = None,
        **through: str | tuple[str, ...],
    ) -> Rebuild:
        """Only the values of ``column`` that the night touched."""
        paths = {name: (path,) if isinstance(path, str) else path for name, path in through.items()}
        openings = (filled,) if isinstance(filled, str) else filled
        return cls("by", column, through=paths, filled=openings, daily=daily, carried=carried)

    @classmethod
    def as_of(cls, column: str, lag_days: int = 0) -> Rebuild:
        """One slice a night, ``lag_days`` before it; other nights' slices stay."""
        return cls("as_of", column, lag_days)

    def own(self, name: str) -> list[str]:
        """The columns of an input that hold a value themselves."""
        return [path for path in self.through.get(name, ()) if "@" not in path]

    @property
    def shared(self) -> list[tuple[str, str]]:
        """The inputs whose rows depend on each other, each with the column that such rows share."""
        paths = [(name, *path.split("@")) for name, paths in self.through.items() for path in paths if "@" in path]
        return [(name, column) for name, column, other in paths if other == name]

    def slice_of(self, night: date) -> date:
        """The value of ``column`` in the slice that a night writes."""
        return night - timedelta(days=self.lag_days)
