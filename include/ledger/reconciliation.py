"""Reconciliation in the ledger: the proofs that nothing was lost or multiplied, whether they held or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from include.ledger.connection import connect

EXAMPLES = 5  # differing groups that the ledger keeps per proof


@dataclass(frozen=True)
class Proof:
    """Two sides that were compared, group by group.

    Attributes:
        audit: the name of the proof.
        meaning: what is true if the proof holds; one sentence.
        sides: the names of the two sides.
        groups: how many groups were compared: orders, days, shelves, rows.
        differing: how many groups differ in any measure.
        totals: per measure, the totals of both sides.
        examples: the first groups that differ, each with both values.
    """

    audit: str
    meaning: str
    sides: tuple[str, str]
    groups: int
    differing: int
    totals: Mapping[str, tuple[int, int]]
    examples: Sequence[str] = ()

    @property
    def held(self) -> bool:
        """Whether both sides are equal in every group."""
        return not self.differing

    @property
    def failure(self) -> str:
        """What differs: both sides' totals and the first groups, in one line."""
        one, other = self.sides
        unequal = {name: sums for name, sums in self.totals.items() if sums[0] != sums[1]}
        totals = "; ".join(f"{name} {left:,} in {one}, {right:,} in {other}" for name, (left, right) in unequal.items())
        return (
            f"{self.audit}: {self.differing:,} of {self.groups:,} groups differ"
            f" ({totals or 'in total both sides are equal'})"
            + (f", such as {'; '.join(self.examples)}" if self.examples else "")
        )


def _figures(proof: Proof) -> list[dict[str, object]]:
    return [{"measure": name, "one": one, "other": other} for name, (one, other) in proof.totals.items()]


def record(run_id: str, proofs: Iterable[Proof], *, anew: bool = False) -> None:
    """Record proofs, held or not, replacing those of an earlier attempt; they stay whatever happens to the night.

    Args:
        run_id: the run.
        proofs: what was compared.
        anew: whether these are the attempt's first proofs: then all proofs of an earlier attempt are deleted.
    """
    rows = [
        (run_id, p.audit, p.meaning, *p.sides, p.groups, p.differing, Jsonb(_figures(p)), list(p.examples))
        for p in proofs
    ]
    with connect() as connection:
        if anew:
            connection.execute("delete from audit.conservation where run_id = %s", [run_id])
        connection.cursor().executemany(
            """
            insert into audit.conservation
                (run_id, audit, meaning, one_side, other_side, groups, differing, totals, examples)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (run_id, audit) do update set
                meaning = excluded.meaning, one_side = excluded.one_side, other_side = excluded.other_side,
                groups = excluded.groups, differing = excluded.differing, totals = excluded.totals,
                examples = excluded.examples, proven_at = now()
            """,
            rows,
        )
