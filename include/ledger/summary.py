"""A night in a page of text, for the person who started it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from include.ledger.connection import connect


def summary(run_id: str, features_run: str | None = None) -> str:
    """What a run did: rows per source and per table, the night's sales and stock-outs, seconds per stage.

    Args:
        run_id: the night's run.
        features_run: the run that made the night's features; None where none did.

    Raises:
        KeyError: when the ledger knows no such run.
    """
    runs = [run_id, features_run] if features_run else [run_id]
    with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        run = cursor.execute("select * from audit.runs where run_id = %s", [run_id]).fetchone()
        if run is None:
            raise KeyError(f"the ledger has no run {run_id!r}")
        parts = [
            _heading(cursor, run),
            _sources(cursor, run_id),
            _tables(cursor, runs),
            _restated(cursor, run_id),
            *_trade(cursor, run),
        ]
        parts += [_parity(cursor, runs), _stages(cursor, runs), _next(run)]
    return "\n\n".join(part for part in parts if part)


_Cursor = psycopg.Cursor[dict[str, Any]]


def _heading(cursor: _Cursor, run: dict[str, Any]) -> str:
    built_on = cursor.execute(
        "select engine from audit.builds where run_id = %s group by engine order by count(*) desc, engine",
        [run["run_id"]],
    ).fetchall()
    engines = ", ".join(row["engine"] for row in built_on) or run["engine"]
    if run["dag"] == "republish":
        left = f"as publication {run['built_from']} left it; whole days up to {run['horizon']}"
        return f"Night of {run['night']}, put back: {run['state']} ({left})" + (
            f"\n{run['error']}" if run["error"] else ""
        )
    dry = ", a dry run: nothing was published" if run["dry_run"] else ""
    return f"Night of {run['night']}: {run['state']} ({engines}{dry})" + (f"\n{run['error']}" if run["error"] else "")


def _parity(cursor: _Cursor, runs: Sequence[str]) -> str:
    rows = cursor.execute(
        """
        select schema_name || '.' || table_name as "built twice", engine, other_engine as "and",
            case when equal then 'yes' else difference end as equal
        from audit.parity where run_id = any(%s) order by schema_name desc, table_name
        """,
        [list(runs)],
    ).fetchall()
    return _table(rows)


def _sources(cursor: _Cursor, run_id: str) -> str:
    rows = cursor.execute(
        """
        select source, extracted, accepted, quarantined, released, deleted, held_rows as "in quarantine", complete
        from audit.source_counts join audit.runs using (run_id)
        where run_id = %s and dag = 'nightly' order by source
        """,
        [run_id],
    ).fetchall()
    return _table(rows)


def _tables(cursor: _Cursor, runs: Sequence[str]) -> str:
    rows = cursor.execute(
        """
        select schema_name || '.' || table_name as "published table", rows, inserted, deleted
        from audit.publication_tables
        where publication_id in (
            select max(publication_id) from audit.publications where run_id = any(%s) group by run_id
        )
        order by schema_name desc, table_name
        """,
        [runs],
    ).fetchall()
    return _table(rows)


def _restated(cursor: _Cursor, run_id: str) -> str:
    rows = cursor.execute(
        """
        select schema_name || '.' || table_name as "restated", count(distinct day) as "earlier days",
            count(*) as figures, min(day)::text as "first", max(day)::text as "last"
        from audit.restatements join audit.publications using (publication_id)
        where run_id = %s group by 1 order by 1
        """,
        [run_id],
    ).fetchall()
    return _table(rows)


def _trade(cursor: _Cursor, run: dict[str, Any]) -> list[str]:
    lines = []
    if _exists(cursor, "reporting.daily_sales"):
        rows = cursor.execute(
            "select currency, net_sales, orders from reporting.daily_sales where day = %s order by currency",
            [run["night"]],
        ).fetchall()
        sales = "; ".join(f"{row['net_sales']:,} {row['currency']} from {row['orders']:,} orders" for row in rows)
        lines.append(f"Net sales of {run['night']}: {sales or 'none'}")
    if _exists(cursor, "reporting.inventory_daily"):
        row = cursor.execute(
            "select count(*) as n from reporting.inventory_daily where day = %s and is_stockout", [run["night"]]
        ).fetchone()
        lines.append(f"Stock-outs at its close: {row['n'] if row else 0} (product, warehouse)")
    return ["\n".join(lines)] if lines else []


def _stages(cursor: _Cursor, runs: Sequence[str]) -> str:
    rows = cursor.execute(
        """
        select case when dag = 'features' then 'features: ' else '' end || stage as stage,
            round(seconds::numeric, 1) as seconds
        from audit.stages join audit.runs using (run_id) where run_id = any(%s) order by stages.started_at
        """,
        [runs],
    ).fetchall()
    return _table(rows)


def _next(run: dict[str, Any]) -> str:
    lines = ["make psql      then  select * from reporting.data_status;", "make ui        the runs, their reports"]
    if run["dry_run"]:
        lines = lines[1:]
    return "Where to look next\n" + "\n".join(f"  {line}" for line in lines)


def _exists(cursor: _Cursor, name: str) -> bool:
    row = cursor.execute("select to_regclass(%s) is not null as found", [name]).fetchone()
    return bool(row and row["found"])


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as aligned text: words to the left, numbers to the right."""
    if not rows:
        return ""
    cells = [[_text(value) for value in row.values()] for row in rows]
    heads = list(rows[0])
    widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in [heads, *cells]
    )


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)
