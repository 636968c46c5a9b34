"""What ``make map`` found, as values and as a page of text.

Belongs here: what is said, and how. Does not: finding it (``shop_check``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from include.extract.refusals import Finding
from include.pipeline import hints

_WIDEST = 22  # characters of a value


class Verdict(StrEnum):
    """What a night would do."""

    PUBLISH = "publish"
    WAIT = "wait for an approval"
    STOP = "stop"


@dataclass(frozen=True)
class SourceCheck:
    """What the gate makes of one source.

    Attributes:
        name: the source.
        rows: its rows, all of them.
        seconds: what it took to read and to prove them.
        broken: by rule, how many rows break it, and what the rule means; rows that a night would quarantine, or stop
            for, first those of the most broken rule.
        held: rows that would be in quarantine.
        tolerated: rows that may be, without an operator's approval.
        sample: some rows as the gate sees them: a line per column, with its values.
        warned: the rules that warn, of which rows are published all the same.
    """

    name: str
    rows: int
    seconds: float
    broken: Mapping[str, tuple[int, str]]
    held: int
    tolerated: int
    sample: Sequence[Sequence[str]]
    warned: Sequence[hints.Warned] = ()


@dataclass(frozen=True)
class ShopCheck:
    """What ``make map`` found.

    Attributes:
        folder: the shop's folder.
        findings: everything that is wrong with its files.
        verdict: what a night would do.
        why: the reasons for it, where it is not to publish.
        sources: what the gate makes of every source; none where the shop cannot be read.
        tables: the tables that the shop will have.
        left_out: the others, with the reason.
        absent: the optional sources that the shop does without.
        unwritten: those of them whose file is there, and not filled in.
        roundings: by currency, how many orders' totals are not what their parts come to, and by how much together.
    """

    folder: str
    findings: Sequence[Finding]
    verdict: Verdict
    why: Sequence[str] = ()
    sources: Sequence[SourceCheck] = ()
    tables: Sequence[str] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    absent: Sequence[str] = ()
    unwritten: Sequence[str] = ()
    roundings: Sequence[str] = ()

    @property
    def can_run(self) -> bool:
        """Whether a night could run: it may wait for an approval, but not stop."""
        return self.verdict is not Verdict.STOP

    def __str__(self) -> str:
        """It as a page of text."""
        stopping = [str(one) for one in self.findings if one.stops]
        noted = [str(one) for one in self.findings if not one.stops]
        parts = [
            _listed(f"{self.folder}: {len(stopping)} to mend before a night can read it", stopping),
            _listed("To think about", noted),
            *(_page(source) for source in self.sources),
            _listed("Read", [_timing(source) for source in self.sources]),
            _listed("Tables", [", ".join(self.tables)] if self.tables else []),
            _listed("Left out", [f"{name}: {why}" for name, why in self.left_out.items()]),
            _listed("Left out: optional; without it a table is built with no rows of it", self._absent()),
            _listed("Rounding", self.roundings),
            _listed(f"A night would {self.verdict}", self.why),
        ]
        return "\n\n".join(part for part in parts if part)

    def _absent(self) -> list[str]:
        return [f"{name}: its file is not filled in" if name in self.unwritten else name for name in self.absent]


def _page(source: SourceCheck) -> str:
    """One source: some rows, and what breaks which rule."""
    lines = [
        f"{source.name}: {source.rows:,} rows, {source.held:,} for the quarantine ({source.tolerated:,} tolerated)"
    ]
    lines += [_advised(f"  {rule}: {rows:,} rows. {meaning}", rule) for rule, (rows, meaning) in source.broken.items()]
    lines += [_advised(f"  {one}", one.rule) for one in source.warned]
    cells = [[_clipped(cell) for cell in line] for line in source.sample]
    if cells:
        widths = [max(len(line[number]) for line in cells) for number in range(len(cells[0]))]
        lines += [
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in cells
        ]
    return "\n".join(lines)


def _advised(text: str, rule: str) -> str:
    """What is said of a rule, with what is mostly behind it on a line of its own."""
    hint = hints.of_rule(rule)
    return f"{text}\n    {hint}" if hint else text


def _timing(source: SourceCheck) -> str:
    return f"{source.name}: {source.rows:,} rows in {source.seconds:.1f} s, proven complete"


def _clipped(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _listed(head: str, entries: Sequence[str]) -> str:
    if not entries and not head.startswith("A night"):
        return ""
    return "\n".join([head, *(f"  {text}" for text in entries)])
