"""The search for anomalies: what a night's business day looks like beside the days before it, before it is published.

Belongs here: what is measured, recorded and asked about, and where an operator finds the rows. Does not: what is
unusual (``gate.anomalies``), or who is told (``watch``).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import duckdb

from include.contract import Source, Type
from include.contract.types import day_number, day_of
from include.extract import sql_files
from include.gate import anomalies as gate
from include.gate.anomalies import Judged, Past
from include.gate.measures import REPEATED, Measure, measure, said
from include.gate.scales import Kind, Value
from include.ledger import anomalies as ledger
from include.ledger.anomalies import Anomaly, Explained, Measured
from include.ledger.runs import Run
from include.settings import settings

_WORD: Final = re.compile(r"\b[a-z_]\w*\b")
_TEXT: Final = re.compile(r"'(?:[^']|'')*'")  # a literal
_KEPT: Final = (
    50  # findings of a night that the ledger keeps, the furthest off: a day of which half is missing has many
)


def search(
    run: Run, sources: Mapping[str, Source], full: Mapping[str, bool], connection: duckdb.DuckDBPyConnection
) -> list[str]:
    """Measure a night's day, compare it with the days before it, and record both in the ledger.

    The first night of a shop with a past measures that past as well; so does one after days that had no night.

    Args:
        run: a night.
        sources: the shop's sources.
        full: per source, whether this run read the whole table.
        connection: a session with the views of the night and the checked rows.

    Returns:
        What waits for an operator's approval, a sentence each.
    """
    day, night = day_number(run.night), run.night
    known, past, explained = ledger.known_days(night), _past(night), ledger.explained(night)
    measures: list[Measured] = []
    found: list[Anomaly] = []
    for name in gate.measured(sources):
        source, rows = sources[name], gate.accepted(sources[name], full=full[name])
        today = measure(connection, source, rows, (day, day))[day]
        before = gate.measure_past(connection, source, rows, day, [day_number(one) for one in known.get(name, ())])
        measures += (_measured(name, one, value, at) for at, of in before.items() for one, value in of.items())
        days = _joined(past.get(name, {}), gate.pasts(before))
        judged = gate.Baselines(source, days, partial(_left_out, explained, name)).judge(day, today)
        measures += map(_as_judged(night), judged)
        found += [_anomaly(connection, sources, rows, one, night) for one in gate.findings(judged)]
    found = sorted(found, key=lambda one: -one.excess)[:_KEPT]
    ledger.record(run.run_id, measures, found, night)
    return ledger.asked_about(run.run_id)


def _past(night: date) -> dict[str, Past]:
    """What the ledger has of earlier days, by source."""
    found: dict[str, dict[tuple[str, Kind], Mapping[int, Value]]] = defaultdict(dict)
    since = date.fromordinal(max(1, night.toordinal() - gate.LONGEST))  # a night may be asked for any day there is
    for one in ledger.past(night, since):
        values = map(Value, one.measured, one.rows)
        found[one.source][one.measure, Kind(one.kind)] = dict(zip(one.days, values, strict=True))
    return dict(found)


def _left_out(explained: Collection[Explained], source: str, measure: str) -> list[range]:
    return [one.days for one in explained if one.is_about(source, measure)]


def _joined(known: Past, more: Past) -> Past:
    return {one: {**more.get(one, {}), **known.get(one, {})} for one in {**more, **known}}


def _measured(source: str, one: Measure, value: Value, day: int) -> Measured:
    return Measured(source, day_of(day), one.name, one.kind, value.value, value.rows)


def _as_judged(night: date) -> Callable[[Judged], Measured]:
    """A measure of the night's day, with what is expected of it, as the ledger has it."""

    def measured(one: Judged) -> Measured:
        known = one.expected
        expected = (known.usual, known.low, known.high) if known else (None, None, None)
        value = one.value
        return Measured(one.source, night, one.measure.name, one.measure.kind, value.value, value.rows, *expected)

    return measured


def _anomaly(
    connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source], rows: str, one: Judged, night: date
) -> Anomaly:
    """A finding as the ledger has it, with the rows behind it."""
    source, expected = sources[one.source], one.expected
    if expected is None:
        raise ValueError(f"{one.source}, {one.measure.name}: it is no finding, nothing was expected")
    behind, examples = gate.keys_behind(connection, source, rows, one.measure, day_number(night))
    return Anomaly(
        one.source,
        one.measure.name,
        one.measure.kind,
        one.value.value,
        expected.usual,
        expected.low,
        expected.high,
        min(one.excess, 1e9),
        one.sentence(),
        gate.asks(source, one.measure),
        behind,
        examples,
        rows_sql(sources, source, one.measure, night),
    )


def rows_sql(sources: Mapping[str, Source], source: Source, one: Measure, night: date) -> str:
    """The rows that a measure is about, as a query on the shop's own database: what was expected may be there.

    A row without an instant of its own is found by that of the row that it is part of. What the shop does not say
    itself (a value that is derived) does not narrow the query.
    """
    read = {source.name: source}
    where = _where(sources, source, one.by or source.begins or "", night, one.where, read)
    texts = sql_files.statements(read.values())
    known = ",\n".join(f"{name} as (\n{text.rstrip()}\n)" for name, text in texts.items())
    if one != REPEATED:
        return f"with {known}\nselect * from {source.name} where {where}"
    same = ", ".join(source[name.removesuffix("_cents")].name for name in said(source))
    counted = f"select *, count(*) over (partition by {same}) as times from {source.name} where {where}"
    return f"with {known}\nselect * from ({counted}) as counted where times > 1"


def _where(
    sources: Mapping[str, Source], source: Source, by: str, night: date | None, where: str, read: dict[str, Source]
) -> str:
    """A predicate on the shop's rows; the sources that it reads are added to ``read``."""
    named = set(_WORD.findall(_TEXT.sub("", where))) & {one.lake_name for one in source.lake_columns}
    instant = f"{by.removesuffix('_on')}_at"
    parts = [_within(instant, night)] if night and instant in _own(source) else []
    if named and named <= set(_own(source).values()):
        parts.append(f"({_as_in_shop(source, where)})")
        named = set()
    parent = next((one for one in source.columns if one.part_of and one.key_of in sources), None)
    if parent and parent.key_of and (named or (night and not parts)):
        above = sources[parent.key_of]
        read[above.name] = above
        day, rest = (
            (None if parts else night),
            (where if named <= {c.lake_name for c in above.lake_columns} else "true"),
        )
        inner = _where(sources, above, above.begins or "", day, rest if named else "true", read)
        parts.append(f"{parent.name} in (select {parent.owner_key} from {above.name} where {inner})")
    return " and ".join(parts) or "true"


def _own(source: Source) -> dict[str, str]:
    """The columns that the shop's statement gives, with their names in the lake."""
    return {
        one.name: one.lake_name for one in source.columns if not (one.type is Type.AT and one.optional and one.nullable)
    }


def _as_in_shop(source: Source, where: str) -> str:
    """A predicate over the lake's columns, over those of the shop's statement."""
    for name, lake_name in _own(source).items():
        where = re.sub(rf"\b{lake_name}\b", name, where)
    return where


def _within(instant: str, night: date) -> str:
    """A predicate: an instant is within a business day."""
    zone = ZoneInfo(settings().timezone)
    begin, end = (datetime(day.year, day.month, day.day, tzinfo=zone) for day in (night, night + timedelta(days=1)))
    return f"{instant} >= {sql_files.instant(begin.isoformat())} and {instant} < {sql_files.instant(end.isoformat())}"
