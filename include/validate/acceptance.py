"""The verdict: families move together, too much in quarantine stops the night, the rest goes into lake/clean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from include import difference, duck, lake
from include.completeness import prove
from include.contract import Severity, Source
from include.contract.table import TOLERATED_ROWS
from include.validate.candidates import gate_file, open_night, part_links, present, same_key
from include.validate.judgement import row_key


class NightStopped(RuntimeError):
    """The gate will not let this night be published; the message names tables, rules and rows."""


def accept(
    sources: Mapping[str, Source], outcomes: Mapping[str, list[dict[str, Any]]], run: str, full: Mapping[str, bool]
) -> dict[str, dict[str, int]]:
    """Merge accepted rows into lake/clean and put rejected ones, whole, into lake/quarantine.

    Nothing is written unless the night may go on for every source.

    Args:
        sources: the shop's sources.
        outcomes: per source, how it did by its rules (``ledger.outcomes_of``).
        run: the run whose rows are tonight's.
        full: per source, whether this run read all of it.

    Returns:
        Per source: accepted, quarantined (both of the rows read tonight), released, recalled, clean_rows, held_rows,
        clean_version, held_version (see ``audit.source_counts``).

    Raises:
        Incomplete: when what was written is not what the shop holds.
        NightStopped: when a rule that stops was broken, or more than the tolerance is in quarantine.
    """
    with duck.session() as connection:
        open_night(connection, sources, run, full)
        _give_verdicts(connection, sources, run)
        counts = {name: _counts(connection, source, full=full[name]) for name, source in sources.items()}
        _refuse(connection, sources, outcomes, counts)
        for name, source in sources.items():
            counts[name] |= _write(connection, source, full=full[name])
        open_night(connection, sources, run, full)
        for source in sources.values():
            prove(connection, source, run)
    return counts


def _give_verdicts(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source], run: str) -> None:
    """Create ``verdict_<source>``: the judged rows with every rule they broke, their own and their family's."""
    for name in sources:
        rows = f"read_parquet({duck.quoted(str(gate_file(run, name)))})"
        connection.execute(f"create temp table verdict_{name} as select *, 0::bigint as _amount_cents from {rows}")
    for name, source in sources.items():
        _hold_incomplete_wholes(connection, sources, name, source)
    for child, column, parent in part_links(sources):
        key = sources[parent].primary_key[0]
        connection.execute(
            f"update verdict_{child} set _broken = list_append(_broken, 'follows_{parent}') where {column} in"
            f" (select {key} from verdict_{parent} where len(_broken) > 0)"
        )
    for name, source in sources.items():
        if source.amount:
            # An item held with its order is counted there.
            counted_there = (
                f"list_has_any(_broken, {[f'follows_{p}' for c, _, p in part_links(sources) if c == name]}::varchar[])"
            )
            connection.execute(
                f"update verdict_{name} set _amount_cents = coalesce(try_cast({source.amount} as bigint), 0)"
                f" where len(_broken) > 0 and not {counted_there}"
            )


def _hold_incomplete_wholes(
    connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source], name: str, source: Source
) -> None:
    """Hold a row whose accepted parts do not add up to it: publishing the rest of it would be half the truth."""
    whole = source.whole
    if whole is None or whole.parts not in sources:
        return
    key = source.primary_key[0]
    connection.execute(
        f"""
        update verdict_{name} set _broken = list_append(_broken, '{whole.rule}')
        from (
            select row.{key}, coalesce({whole.sum_sql}, 0) as accepted
            from verdict_{name} as row
            left join verdict_{whole.parts} as part on part.{key} = row.{key} and len(part._broken) = 0
            group by row.{key}
        ) as sums
        where len(_broken) = 0 and sums.{key} = verdict_{name}.{key} and sums.accepted <> {whole.equals}
        """
    )


def _counts(connection: duckdb.DuckDBPyConnection, source: Source, *, full: bool) -> dict[str, int]:
    """What tonight does to one source, in rows."""
    name = source.name
    key = same_key(source, "verdict", "old")
    tonight = f"from verdict_{name} as verdict where"
    rejected, fine = "len(_broken) > 0", "len(_broken) = 0"
    was_held = f"exists (select 1 from held_{name} as old where {key})"
    judged = f"exists (select 1 from verdict_{name} as verdict where {key})"
    gone = f"exists (select 1 from gone_{name} as verdict where {key})"

    def count(rows: str) -> int:
        return _scalar(connection, f"select count(*) {rows}")

    accepted = count(f"{tonight} _origin = 'changed' and {fine}")
    quarantined = count(f"{tonight} _origin = 'changed' and {rejected}")
    read = count(f"from raw_{name}")
    if read != accepted + quarantined:
        raise NightStopped(f"{name}: {read:,} rows were read, but {accepted:,} accepted + {quarantined:,} quarantined")
    return {
        "accepted": accepted,
        "quarantined": quarantined,
        "released": count(f"{tonight} {fine} and {was_held}"),
        "recalled": count(f"{tonight} _origin = 'family' and {rejected}"),
        "clean_rows": count(f"{tonight} {fine}")
        + (0 if full else count(f"from clean_{name} as old where not {judged} and not {gone}")),
        "held_rows": count(f"{tonight} {rejected}"),
    }


def _refuse(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Source],
    outcomes: Mapping[str, list[dict[str, Any]]],
    counts: Mapping[str, Mapping[str, int]],
) -> None:
    """Stop the night, for every reason there is at once."""
    reasons = [
        f"{name}, rule {outcome['rule']}: {outcome['broken']:,} rows, such as {', '.join(outcome['examples'])}"
        for name, results in outcomes.items()
        for outcome in results
        if outcome["broken"] and outcome["severity"] == Severity.STOP
    ]
    for name, source in sources.items():
        held, total = counts[name]["held_rows"], counts[name]["held_rows"] + counts[name]["clean_rows"]
        if held > max(TOLERATED_ROWS, source.tolerance * total):
            worst = connection.execute(
                f"select rule, count(*) as rows, min(key) from"
                f" (select unnest(_broken) as rule, {row_key(source)} as key from verdict_{name})"
                " group by rule order by rows desc, rule limit 3"
            ).fetchall()
            listed = "; ".join(f"{rule}: {rows:,} rows, such as {example}" for rule, rows, example in worst)
            limit = f"more than {source.tolerance:.1%}"
            reasons.append(f"{name}: {held:,} of {total:,} rows would be in quarantine, {limit} ({listed})")
    if reasons:
        raise NightStopped("the gate stops this night; yesterday's tables stay. " + " | ".join(reasons))


def _write(connection: duckdb.DuckDBPyConnection, source: Source, *, full: bool) -> dict[str, int]:
    """Bring lake/clean and lake/quarantine of one source up to the verdict; gives the versions of both."""
    name = source.name
    columns = ", ".join(column.lake_name for column in source.lake_columns)
    judged = f"{present(source, 'row', f'verdict_{name}')} or {present(source, 'row', f'gone_{name}')}"
    accepted = f"(select {columns} from verdict_{name} where len(_broken) = 0)"
    version = difference.commit(
        connection, "clean", name, source.lake_columns, source.primary_key, accepted, "true" if full else judged
    ).version
    held = connection.execute(
        f"select {columns}, _unreadable, _broken, _amount_cents from verdict_{name} where len(_broken) > 0"
    )
    held_version = lake.replace("quarantine", name, held.to_arrow_reader(100_000))
    return {"clean_version": version, "held_version": held_version}


def _scalar(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0
