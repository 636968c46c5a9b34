"""The tolerance: what stops a night at the gate, what an operator may approve, and the evidence for the decision.

A broken rule that stops a night always stops it. An operator who has seen the evidence may approve more rows in
quarantine than a contract tolerates, and more rows that are gone from the shop: rows also vanish where nobody deleted
anything (a policy, a narrowed view, a truncated table, another database), and then the proof of completeness holds all
the same. The approval is for exactly these rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb

from include.contract import Severity, Source
from include.contract.source import TOLERATED_ROWS
from include.gate import evidence
from include.gate.row_outcomes import NightStopped, counts_of, load_checked_rows
from include.lake import duckdb_session as duck
from include.lake.night_views import open_night, row_key

_NAMED = 3  # rules per source, and keys, that a sentence names

Outcomes = Mapping[str, Sequence[Mapping[str, Any]]]
Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Excess:
    """More rows would be in quarantine, or are gone from the shop, than is tolerated, or a figure is unusual.

    Attributes:
        figures: a digest of every row that would be held, with its rules and its money, and of every key that is gone
            where these are too many; other rows have another digest.
        evidence: what an operator is shown: per source ``evidence.deleted`` and ``evidence.held``, what is more than
            tolerated first; then ``unusual``, a sentence each.
        reasons: what is more than tolerated, a sentence each.
    """

    figures: str
    evidence: list[dict[str, Any]]
    reasons: list[str]


def tolerated(source: Source, rows: int) -> int:
    """How many rows of a source may be in quarantine without an approval: not all of one that every shop has.

    Args:
        source: its contract.
        rows: all rows that it has, with those in quarantine.
    """
    some = int(max(TOLERATED_ROWS, source.tolerance * rows))
    return some if source.optional else max(0, min(some, rows - 1))


def find_excess(
    sources: Mapping[str, Source],
    outcomes: Outcomes,
    run: str,
    full: Mapping[str, bool],
    unusual: Callable[[duckdb.DuckDBPyConnection], Sequence[str]] = lambda _: (),
) -> Excess | None:
    """Compare the rows at the gate with the tolerance; None where there is nothing to ask. Nothing is written.

    Args:
        sources: the shop's sources.
        outcomes: per source, the outcome of each rule (``ledger.outcomes_of``).
        run: the run whose rows are at the gate.
        full: per source, whether this run read the whole table.
        unusual: what else waits for an approval, a sentence each: figures of the day that are not as expected. It is
            called once, with the session that has the views of the night and the checked rows.

    Raises:
        NightStopped: when a rule that stops a night was broken; then nobody is asked.
    """
    with duck.session() as connection:
        open_night(connection, sources, run, full)
        load_checked_rows(connection, sources, run)
        counts = {name: counts_of(connection, source, full=full[name]) for name, source in sources.items()}
        if reasons := _stopping(outcomes):
            raise _stopped([*reasons, *_Weighed(connection, sources, counts).sentences()])
        weighed = _Weighed(connection, sources, counts, unusual(connection))
        return Excess(weighed.figures(), weighed.evidence(), weighed.sentences()) if weighed.exceeds else None


def stop_unless_allowed(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Source],
    outcomes: Outcomes,
    counts: Counts,
    approved: str | None,
    unusual: Sequence[str] = (),
) -> None:
    """Stop the night if it may not go on; the message gives all reasons at once.

    Args:
        connection: a session after ``load_checked_rows``.
        sources: the shop's sources.
        outcomes: per source, the outcome of each rule.
        counts: per source, what the night does to it.
        approved: the figures that an operator approved; None where nobody did.
        unusual: what else waits for an approval, as ``find_excess`` was told.

    Raises:
        NightStopped: when a rule that stops a night was broken, or when more rows than tolerated would be held, or are
            gone, or a figure is unusual of which the contract asks, without an approval.
    """
    reasons, weighed = _stopping(outcomes), _Weighed(connection, sources, counts, unusual)
    if weighed.exceeds and approved != weighed.figures():
        reasons += weighed.sentences()
        if approved:
            reasons.append(
                "the rows at the gate are no longer those that were approved: clear check_tolerance to be asked again"
            )
    if reasons:
        raise _stopped(reasons)


def _stopped(reasons: Sequence[str]) -> NightStopped:
    return NightStopped("the gate stops this night; yesterday's tables stay. " + " | ".join(reasons))


def _stopping(outcomes: Outcomes) -> list[str]:
    """Every broken rule that stops a night, as a sentence."""
    return [
        f"{name}, rule {outcome['rule']}: {outcome['broken']:,} rows, such as {', '.join(outcome['examples'])}"
        for name, results in outcomes.items()
        for outcome in results
        if outcome["broken"] and outcome["severity"] == Severity.STOP
    ]


@dataclass(frozen=True)
class _Weighed:
    """The rows at the gate, compared with what each source's contract tolerates."""

    connection: duckdb.DuckDBPyConnection
    sources: Mapping[str, Source]
    counts: Counts
    unusual: Sequence[str] = ()

    @property
    def exceeds(self) -> bool:
        """Whether an operator must be asked."""
        return bool(self.held_over or self.gone_over or self.unusual)

    @cached_property
    def held_over(self) -> list[str]:
        """The sources of which more rows than tolerated would be held, or all."""
        return [
            name
            for name, source in self.sources.items()
            if self.counts[name]["held_rows"] > tolerated(source, self._total(name))
        ]

    @cached_property
    def gone_over(self) -> dict[str, tuple[int, int]]:
        """The sources of which more rows than tolerated are gone, or all: how many, of how many in the copy."""
        over = {}
        for name, source in self.sources.items():
            gone, known, read = self.connection.execute(
                f"""
                select
                    (select count(*) from deleted_{name}),
                    (select count(*) from known_{name}),
                    exists (from raw_{name})
                """
            ).fetchone() or (0, 0, True)
            emptied = gone and gone == known and not read
            if emptied or gone > max(TOLERATED_ROWS, source.deletion_tolerance * known):
                over[name] = (int(gone), int(known))
        return over

    def sentences(self) -> list[str]:
        """One sentence per source and excess: how many rows, of how many, and which; then what is unusual."""
        return [*map(self._too_many_gone, self.gone_over), *map(self._too_many_held, self.held_over), *self.unusual]

    def evidence(self) -> list[dict[str, Any]]:
        """What an operator is shown (see ``Excess``)."""
        held = sorted(
            (name for name in self.sources if self.counts[name]["held_rows"]), key=lambda one: one not in self.held_over
        )
        return [
            *(
                evidence.deleted(self.connection, self.sources[name], gone, known)
                for name, (gone, known) in self.gone_over.items()
            ),
            *(
                evidence.held(
                    self.connection,
                    self.sources[name],
                    self.counts[name]["held_rows"],
                    self._total(name),
                    over=name in self.held_over,
                )
                for name in held
            ),
            *({"unusual": sentence} for sentence in self.unusual),
        ]

    def figures(self) -> str:
        """A digest of the rows that are in excess; it sums hashes, so their order does not matter."""
        digest = hashlib.sha256()
        for name, source in sorted(self.sources.items()):
            text = f"concat_ws('|', {row_key(source)}, list_sort(_broken)::varchar, _amount_cents::varchar)"
            digest.update(f"{name} {self._sum(text, f'checked_{name} where len(_broken) > 0')}\n".encode())
        for name in sorted(self.gone_over):
            digest.update(f"deleted {name} {self._sum(row_key(self.sources[name]), f'deleted_{name}')}\n".encode())
        for sentence in self.unusual:
            digest.update(f"unusual {sentence}\n".encode())
        return digest.hexdigest()

    def _sum(self, text: str, rows: str) -> tuple[Any, ...] | None:
        """How many rows there are, and the sum of the hashes of a text of each."""
        hashed = f"cast(cast('0x' || substr(md5({text}), 1, 15) as bigint) as hugeint)"
        return self.connection.execute(f"select count(*), sum({hashed}) from {rows}").fetchone()

    def _total(self, name: str) -> int:
        return self.counts[name]["held_rows"] + self.counts[name]["clean_rows"]

    def _too_many_held(self, name: str) -> str:
        source = self.sources[name]
        worst = self.connection.execute(
            f"""
            select rule, count(*) as rows, min(key)
            from (select unnest(_broken) as rule, {row_key(source)} as key from checked_{name})
            group by rule
            order by rows desc, rule
            limit {_NAMED}
            """
        ).fetchall()
        listed = "; ".join(f"{rule}: {rows:,} rows, such as {example}" for rule, rows, example in worst)
        return (
            f"{name}: {self.counts[name]['held_rows']:,} of {self._total(name):,} rows would be in quarantine,"
            f" more than {source.tolerance:.1%} ({listed})"
        )

    def _too_many_gone(self, name: str) -> str:
        source, (gone, known) = self.sources[name], self.gone_over[name]
        keys = self.connection.execute(
            f"select {row_key(source)} as key from deleted_{name} order by key limit {_NAMED}"
        ).fetchall()
        return (
            f"{name}: {gone:,} of {known:,} rows are gone from the shop, more than {source.deletion_tolerance:.1%}"
            f" (such as {', '.join(key for (key,) in keys)})"
        )
