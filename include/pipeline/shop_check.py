"""Whether a night could run on a shop's folder, found without a night: ``make map``.

The rows go through the very extraction and gate of a night, into a lake that the caller throws away, and are compared
with those that earlier nights accepted; the warehouse is not asked. Belongs here: the order of the steps, and what they
say together. Does not: any of the checks.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import duckdb
from deltalake.exceptions import DeltaError

from include.contract import ContractError, Severity, Source, Table
from include.contract.currency import written
from include.extract import drift, sql_files, statements, window
from include.extract.completeness import Incomplete
from include.extract.drift import SchemaDrift
from include.extract.reading import is_float, is_number
from include.extract.refusals import Finding
from include.extract.snapshot import Extraction, extract
from include.extract.statements import Examined, StatementsRefused
from include.gate.checks import check_source
from include.gate.row_outcomes import NightStopped, load_checked_rows
from include.gate.tolerance import find_excess, tolerated
from include.lake import duckdb_session as duck
from include.lake.integrity import Damaged
from include.lake.night_views import open_night
from include.pipeline import hints
from include.pipeline.declarations import typed
from include.pipeline.shop_page import ShopCheck, SourceCheck, Verdict
from include.settings import settings
from include.sources import SOURCES, shop_sources

_RUN = "map"
_SHOWN = 10  # rows of every source
_MEND = "the files above are to be mended first"


class Plan(Protocol):
    """The tables that a shop's sources allow (``transforms.registry.Plan``)."""

    @property
    def tables(self) -> Sequence[str]:
        """Their names."""

    @property
    def left_out(self) -> Mapping[str, str]:
        """Every other table, with the reason."""


def check_shop(
    buildable: Callable[[Collection[str]], Plan], tables: Collection[Table], say: Callable[[str], None]
) -> ShopCheck:
    """Check the folder of the settings on the shop of the settings; the lake of the settings is written to.

    Its layers ``clean`` and ``quarantine`` are only read: they may be those of the lake of the shop's nights.

    Args:
        buildable: says which tables can be built from some sources.
        tables: every table there is: a dimension may not be called as a column of one.
        say: told what is being done.

    Raises:
        ConnectionError: when the shop cannot be reached.
    """
    folder = sql_files.shown(settings().sources)
    try:
        sources = shop_sources(settings().sources)
        typed(tables)
    except ValueError as error:
        return ShopCheck(folder, [_refused(folder, error)], Verdict.STOP, [_MEND])
    absent = [name for name, source in sources.items() if sql_files.is_absent(source)]
    unwritten = [name for name in absent if sql_files.file_of(name).exists()]
    say(f"Checking the files of {folder}")
    with statements.shop_connection() as shop:
        examined = statements.examine(shop, sources)
        noted = [*_to_think_about(sources, examined), *window.to_think_about(shop, sources)]
    plan = buildable({name for name in sources if name not in examined.empty})
    findings = sorted([*examined.findings, *noted], key=_place)
    read: Extraction | None = None
    if not any(one.stops for one in findings):
        try:
            say("Reading every row, and checking it at the gate")
            started = time.monotonic()
            read = _read(sources)
        except (SchemaDrift, StatementsRefused, Incomplete, duckdb.Error) as error:
            findings.append(_refused(folder, error))
    if read is None:
        return ShopCheck(folder, findings, Verdict.STOP, [_MEND], (), plan.tables, plan.left_out, absent, unwritten)
    try:
        verdict, why, checked, shown, roundings = _judge(sources, read, examined)
    except (ContractError, Damaged, DeltaError) as error:  # what earlier nights left
        findings.append(_refused(folder, error))
        return ShopCheck(folder, findings, Verdict.STOP, [_MEND], (), plan.tables, plan.left_out, absent, unwritten)
    findings = sorted([*findings, *shown], key=_place)
    say(f"Read and checked in {time.monotonic() - started:.0f} s")
    return ShopCheck(folder, findings, verdict, why, checked, plan.tables, plan.left_out, absent, unwritten, roundings)


def _refused(folder: str, error: Exception) -> Finding:
    """A refusal that says what to do; the file of the folder that it begins with, from the machine's root, is named."""
    text = str(error).replace(str(settings().sources), folder)
    named = re.match(rf"({re.escape(folder)}(?:/[^\s:]+)?):? (.*)", text, re.DOTALL)
    return Finding(named[1] if named else folder, None, named[2] if named else text, "")


def _read(sources: Mapping[str, Source]) -> Extraction:
    schema: drift.Schema = {}
    if (settings().sources / drift.FILE).exists():  # otherwise what is there now is expected
        schema = drift.expected(_RUN, sql_files.statements(sources.values()))
    return extract(sources, dict.fromkeys(sources, sql_files.EVERYTHING), _RUN, schema=schema)


def _judge(
    sources: Mapping[str, Source], read: Extraction, examined: Examined
) -> tuple[Verdict, list[str], list[SourceCheck], list[Finding], list[str]]:
    """Have the gate check every row, and say what it would do, why, what the rows show, and how orders round."""
    full = dict.fromkeys(sources, True)
    outcomes = {name: check_source(sources, name, _RUN, full, read.snapshot_at.isoformat()) for name in sources}
    recorded: dict[str, list[dict[str, Any]]] = {
        name: [
            {"rule": one.rule.name, "severity": one.rule.severity, "broken": one.broken, "examples": one.examples}
            for one in found
        ]
        for name, found in outcomes.items()
    }
    with duck.session() as connection:
        open_night(connection, sources, _RUN, full)
        load_checked_rows(connection, sources, _RUN)
        checked = [_checked(connection, source, read, recorded[name]) for name, source in sources.items()]
        shown = [
            finding
            for one in checked
            for finding in hints.of_rows(connection, sources[one.name], examined.given.get(one.name, ()), one.rows)
        ]
        roundings = _roundings(connection, sources["orders"])
    try:
        excess = find_excess(sources, recorded, _RUN, full)
    except NightStopped as stopped:
        return Verdict.STOP, [str(stopped)], checked, shown, roundings
    if excess is None:
        return Verdict.PUBLISH, [], checked, shown, roundings
    return Verdict.WAIT, excess.reasons, checked, shown, roundings


def _roundings(connection: duckdb.DuckDBPyConnection, orders: Source) -> list[str]:
    """By currency, what the totals of accepted orders are more or less than their parts; only where they are."""
    found = connection.execute(
        """
        select
            currency,
            count(*) filter (rounding_cents <> 0),
            count(*),
            coalesce(sum(rounding_cents) filter (rounding_cents > 0), 0),
            coalesce(-sum(rounding_cents) filter (rounding_cents < 0), 0)
        from checked_orders
        where len(_broken) = 0
        group by currency
        having count(*) filter (rounding_cents <> 0) > 0
        order by currency
        """
    ).fetchall()
    said = []
    for currency, differing, count, *sides in found:
        amounts = [
            f"{written(Decimal(int(cents)).scaleb(-orders.decimals), currency)} {currency} {side}"
            for cents, side in zip(sides, ("less", "more"), strict=True)
            if cents
        ]
        said.append(
            f"{differing:,} orders of {count:,} in {currency}: their lines, shipping and tax come to"
            f" {' and '.join(amounts)} than their totals, counted as rounding"
            " (include/sources/README.md says how lines come out even)"
        )
    return said


def _checked(
    connection: duckdb.DuckDBPyConnection, source: Source, read: Extraction, outcomes: Sequence[Mapping[str, Any]]
) -> SourceCheck:
    name = source.name
    broken = connection.execute(
        f"""
        select rule, count(*) from (select unnest(_broken) as rule from checked_{name})
        group by rule order by count(*) desc, rule
        """
    ).fetchall()
    held = connection.execute(f"select count(*) from checked_{name} where len(_broken) > 0").fetchone() or (0,)
    rows, seconds = read.sources[name].extracted, read.sources[name].seconds
    return SourceCheck(
        name,
        rows,
        seconds,
        {rule: (count, source.meaning_of(rule)) for rule, count in broken},
        int(held[0]),
        tolerated(source, rows),
        _sample(connection, source),
        [
            hints.Warned(one["rule"], one["broken"], one["examples"][0], source.meaning_of(one["rule"]))
            for one in sorted(outcomes, key=lambda one: -one["broken"])
            if one["broken"] and one["severity"] == Severity.WARN
        ],
    )


def _sample(connection: duckdb.DuckDBPyConnection, source: Source) -> list[list[str]]:
    """Rows as the gate sees them: a line per column of the lake, with derived ones and the broken rules."""
    key = ", ".join(source.primary_key)
    columns = {column.name: column.to_warehouse_sql() for column in source.lake_columns}
    columns |= {"not readable": "_unreadable", "breaks": "array_to_string(_broken, ', ')"}
    values = ", ".join(f"cast({value} as varchar)" for value in columns.values())
    rows = connection.execute(
        f"select {values} from checked_{source.name} order by len(_broken) > 0 desc, {key} limit {_SHOWN}"
    ).fetchall()
    return [
        [name, *("-" if value is None else str(value) for value in found)]
        for name, found in zip(columns, zip(*rows, strict=True), strict=True)
    ] if rows else []  # fmt: skip


def _to_think_about(sources: Mapping[str, Source], examined: Examined) -> list[Finding]:
    """What a night reads all the same, and perhaps not as it is meant."""
    found = []
    for name, source in sources.items():
        file = sql_files.shown(sql_files.file_of(name))
        for one in examined.amounts(source):
            value = one.item.expression
            if is_number(one.type):
                what = f"{one.name} is {one.type}, and is read as whole units of the currency"
                found.append(
                    Finding(file, one.item.line, what, f"if it is cents, write `{value} / 100.0`", stops=False)
                )
            if is_float(one.type) and not source[one.name].rounding:
                what = f"{one.name} is {one.type}: what was computed with it may hold a fraction of a cent"
                write = (
                    "if the gate finds some not `readable`, say in shop.toml how they are rounded, or write"
                    f" `round(({value})::numeric, {source.decimals})`"
                )
                found.append(Finding(file, one.item.line, what, write, stops=False))
        given = {one.name for one in examined.given.get(name, ())}
        if name == "order_items" and given and source["unit_price"].rounding and "subtotal" not in given:
            what = "amounts are rounded, and it leaves out subtotal: a rounded price times a quantity may be too much"
            found.append(Finding(file, None, what, "give what each line comes to as `subtotal`", stops=False))
    return found


def _place(finding: Finding) -> tuple[int, int]:
    """Where a finding stands: what is of the whole folder first, then by source and line."""
    names, name = list(SOURCES), finding.file.rpartition("/")[2].removesuffix(".sql")
    return names.index(name) if name in names else -1, finding.line or 0
