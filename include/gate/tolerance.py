"""The tolerance: what stops a night at the gate, what an operator may approve, and the evidence for the decision.

A broken rule that stops a night always stops it. More rows in quarantine than a contract tolerates may be approved by
an operator who has seen the evidence. The approval holds for exactly these rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb

from include.contract import Severity, Source
from include.contract.table import TOLERATED_ROWS
from include.gate.row_outcomes import NightStopped, counts_of, load_checked_rows
from include.lake import duckdb_session as duck
from include.lake.night_views import open_night, row_key

_WORST = 5  # rules per source that the evidence shows
_SAMPLES = 3  # rows per source that it shows

Outcomes = Mapping[str, Sequence[Mapping[str, Any]]]
Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Excess:
    """More rows would be in quarantine than is tolerated.

    Attributes:
        figures: a digest of every row that would be held, with its rules and its money; other rows have another digest.
        evidence: per source with such rows, worst first: source, held, total, tolerance, over (whether this is more
            than tolerated), amounts by currency, rules (rule, meaning, rows, amounts) and samples (key, rules, and the
            values that these rules read).
    """

    figures: str
    evidence: list[dict[str, Any]]


def find_excess(sources: Mapping[str, Source], outcomes: Outcomes, run: str, full: Mapping[str, bool]) -> Excess | None:
    """Compare the rows at the gate with the tolerance; None where it is not exceeded. Nothing is written.

    Args:
        sources: the shop's sources.
        outcomes: per source, the outcome of each rule (``ledger.outcomes_of``).
        run: the run whose rows are at the gate.
        full: per source, whether this run read the whole table.

    Raises:
        NightStopped: when a rule that stops a night was broken; then nobody is asked.
    """
    with duck.session() as connection:
        open_night(connection, sources, run, full)
        load_checked_rows(connection, sources, run)
        counts = {name: counts_of(connection, source, full=full[name]) for name, source in sources.items()}
        excess = _over(sources, counts)
        if reasons := _stopping(outcomes):
            raise _stopped([*reasons, *_sentences(connection, sources, counts, excess)])
        if not excess:
            return None
        held = sorted((name for name in sources if counts[name]["held_rows"]), key=lambda name: name not in excess)
        evidence = [_evidence(connection, sources[name], counts[name], over=name in excess) for name in held]
        return Excess(_figures(connection, sources), evidence)


def stop_unless_allowed(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Source],
    outcomes: Outcomes,
    counts: Counts,
    approved: str | None,
) -> None:
    """Stop the night if it may not go on; the message gives all reasons at once.

    Args:
        connection: a session after ``load_checked_rows``.
        sources: the shop's sources.
        outcomes: per source, the outcome of each rule.
        counts: per source, what the night does to it.
        approved: the figures that an operator approved; None where nobody did.

    Raises:
        NightStopped: when a rule that stops a night was broken, or when more rows than tolerated would be held without
            an approval.
    """
    reasons, excess = _stopping(outcomes), _over(sources, counts)
    if excess and approved != _figures(connection, sources):
        reasons += _sentences(connection, sources, counts, excess)
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


def _over(sources: Mapping[str, Source], counts: Counts) -> list[str]:
    """The sources of which more rows than tolerated would be held."""
    return [
        name
        for name, source in sources.items()
        if counts[name]["held_rows"] > max(TOLERATED_ROWS, source.tolerance * _total(counts[name]))
    ]


def _total(counts: Mapping[str, int]) -> int:
    return counts["held_rows"] + counts["clean_rows"]


def _sentences(
    connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source], counts: Counts, excess: Sequence[str]
) -> list[str]:
    """One sentence per source of which too many rows would be held: how many, and its worst rules."""
    sentences = []
    for name in excess:
        source = sources[name]
        worst = connection.execute(
            f"""
            select rule, count(*) as rows, min(key)
            from (select unnest(_broken) as rule, {row_key(source)} as key from checked_{name})
            group by rule
            order by rows desc, rule
            limit 3
            """
        ).fetchall()
        listed = "; ".join(f"{rule}: {rows:,} rows, such as {example}" for rule, rows, example in worst)
        sentences.append(
            f"{name}: {counts[name]['held_rows']:,} of {_total(counts[name]):,} rows would be in quarantine,"
            f" more than {source.tolerance:.1%} ({listed})"
        )
    return sentences


def _figures(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source]) -> str:
    """A digest of the rows that would be held; it sums hashes, so their order does not matter."""
    digest = hashlib.sha256()
    for name, source in sorted(sources.items()):
        text = f"concat_ws('|', {row_key(source)}, list_sort(_broken)::varchar, _amount_cents::varchar)"
        hashed = f"cast(cast('0x' || substr(md5({text}), 1, 15) as bigint) as hugeint)"
        found = connection.execute(f"select count(*), sum({hashed}) from checked_{name} where len(_broken) > 0")
        digest.update(f"{name} {found.fetchone()}\n".encode())
    return digest.hexdigest()


def _evidence(
    connection: duckdb.DuckDBPyConnection, source: Source, counts: Mapping[str, int], *, over: bool
) -> dict[str, Any]:
    """What an operator needs to see of one source."""
    held = f"(select * from checked_{source.name} where len(_broken) > 0)"
    by_rule = f"(select *, unnest(_broken) as rule from {held})"
    worst = connection.execute(
        f"""
        select rule, count(*) as rows
        from {by_rule}
        group by rule
        order by starts_with(rule, 'follows_'), rows desc, rule
        limit {_WORST}
        """
    ).fetchall()
    return {
        "source": source.name,
        "held": counts["held_rows"],
        "total": _total(counts),
        "tolerance": source.tolerance,
        "over": over,
        "amounts": _amounts(connection, source, held),
        "rules": [
            {
                "rule": rule,
                "meaning": source.meaning_of(rule),
                "rows": rows,
                "amounts": _amounts(connection, source, f"{by_rule} where rule = {duck.quoted(rule)}"),
            }
            for rule, rows in worst
        ],
        "samples": _samples(connection, source, held),
    }


def _amounts(connection: duckdb.DuckDBPyConnection, source: Source, rows: str) -> dict[str, str]:
    """The money of some rows, by currency."""
    currency = f"coalesce({source.currency or 'null'}::varchar, '?')"
    found = connection.execute(
        f"""
        select {currency} as currency, sum(_amount_cents) as cents
        from (from {rows}) as held
        group by 1
        having cents <> 0
        order by 1
        """
    ).fetchall()
    return {currency: f"{Decimal(int(cents)) / 100:.2f}" for currency, cents in found}


def _samples(connection: duckdb.DuckDBPyConnection, source: Source, held: str) -> list[dict[str, Any]]:
    """Some held rows, those worth most first, with only the values that their broken rules read."""
    columns = [column.lake_name for column in source.lake_columns]
    found = connection.execute(
        f"""
        select {row_key(source)} as key, _broken, {", ".join(f"{name}::varchar" for name in columns)}, _unreadable
        from {held}
        order by abs(_amount_cents) desc, key
        limit {_SAMPLES}
        """
    ).fetchall()
    samples = []
    for key, rules, *values in found:
        read = source.read_by(rules)
        row = dict(zip([*columns, "_unreadable"], values, strict=True))
        samples.append({"key": key, "rules": rules, "values": {name: row[name] for name in row if name in read}})
    return samples
