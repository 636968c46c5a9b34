"""What an operator is shown of the rows that a night would hold, or take out because the shop no longer has them.

It is plain values, which the ledger keeps with the question.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import duckdb

from include.contract import Source
from include.contract.types import day_of
from include.lake import duckdb_session as duck
from include.lake.night_views import row_key

_WORST = 5  # rules per source that are shown
_SAMPLES = 3  # rows per source that are shown


def held(connection: duckdb.DuckDBPyConnection, source: Source, rows: int, total: int, *, over: bool) -> dict[str, Any]:
    """What the rows of a source are that would be in quarantine.

    Args:
        connection: a session after ``load_checked_rows``.
        source: the source.
        rows: how many would be held.
        total: of how many.
        over: whether this is more than tolerated.

    Returns:
        source, held, total, tolerance, over, amounts by currency, rules (rule, meaning, rows, amounts), the worst
        first, and samples (key, rules, and the values that these rules read).
    """
    relation = f"(select * from checked_{source.name} where len(_broken) > 0)"
    by_rule = f"(select *, unnest(_broken) as rule from {relation})"
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
        "held": rows,
        "total": total,
        "tolerance": source.tolerance,
        "over": over,
        "amounts": _amounts(connection, source, relation),
        "rules": [
            {
                "rule": rule,
                "meaning": source.meaning_of(rule),
                "rows": count,
                "amounts": _amounts(connection, source, f"{by_rule} where rule = {duck.quoted(rule)}"),
            }
            for rule, count in worst
        ],
        "samples": _samples(connection, source, relation),
    }


def deleted(connection: duckdb.DuckDBPyConnection, source: Source, rows: int, total: int) -> dict[str, Any]:
    """What the rows of a source are that the copy has and the shop no longer.

    Args:
        connection: a session with the views of the night.
        source: the source.
        rows: how many they are.
        total: of how many in the copy.

    Returns:
        source, deleted, total, tolerance, over (true), amounts by currency, days (first, last and how many; none for a
        source whose rows have no day) and samples (keys).
    """
    relation = (
        f"(select *, coalesce(try_cast({source.amount or 0} as bigint), 0) as _amount_cents from deleted_{source.name})"
    )
    keys = connection.execute(
        f"select {row_key(source)} as key from {relation} order by abs(_amount_cents) desc, key limit {_SAMPLES}"
    ).fetchall()
    return {
        "source": source.name,
        "deleted": rows,
        "total": total,
        "tolerance": source.deletion_tolerance,
        "over": True,
        "amounts": _amounts(connection, source, relation),
        "days": _days(connection, source),
        "samples": [key for (key,) in keys],
    }


def _days(connection: duckdb.DuckDBPyConnection, source: Source) -> dict[str, Any] | None:
    if source.begins is None:
        return None
    first, last, days = connection.execute(
        f"select min({source.begins}), max({source.begins}), count(distinct {source.begins}) from deleted_{source.name}"
    ).fetchone() or (None, None, 0)
    if not days:
        return None
    return {"first": str(day_of(first)), "last": str(day_of(last)), "days": days}


def _amounts(connection: duckdb.DuckDBPyConnection, source: Source, rows: str) -> dict[str, str]:
    """The money of some rows, by currency."""
    currency = f"coalesce({source.currency or 'null'}::varchar, '?')"
    found = connection.execute(
        f"""
        select {currency} as currency, sum(_amount_cents) as cents
        from (from {rows}) as these
        group by 1
        having cents <> 0
        order by 1
        """
    ).fetchall()
    return {currency: f"{Decimal(int(cents)).scaleb(-source.decimals):f}" for currency, cents in found}


def _samples(connection: duckdb.DuckDBPyConnection, source: Source, relation: str) -> list[dict[str, Any]]:
    """Some held rows, those worth most first, with only the values that their broken rules read."""
    columns = {column.lake_name: f"{column.shown_sql}::varchar" for column in source.lake_columns}
    found = connection.execute(
        f"""
        select {row_key(source)} as key, _broken, {", ".join(columns.values())}, _unreadable
        from {relation}
        order by abs(_amount_cents) desc, key
        limit {_SAMPLES}
        """
    ).fetchall()
    samples: list[dict[str, Any]] = []
    for key, rules, *values in found:
        read = source.read_by(rules)
        row: Mapping[str, Any] = dict(zip([*columns, "_unreadable"], values, strict=True))
        samples.append({"key": key, "rules": rules, "values": {name: row[name] for name in row if name in read}})
    return samples
