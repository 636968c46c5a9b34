"""The summary of a night as text, for the person who started it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from include.contract.currency import written
from include.ledger.connection import connect
from include.ledger.runs import PUBLISH_NIGHT, Kind


def summary(run_id: str, features_run: str | None = None, shop: str = "") -> str:
    """What a run did: rows per source and per table, the night's sales and stock-outs, seconds per stage.

    Args:
        run_id: the night's run.
        features_run: the run that made the night's features; None if there is none.
        shop: as ``SHOP=`` named it, for the commands to go on with.

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
            _read_again(cursor, run_id),
            _sources(cursor, run_id),
            _quarantine(cursor, run_id),
            _warned(cursor, runs),
            _tables(cursor, runs),
            _left_out(cursor, run_id),
            _restated(cursor, run_id),
            *_trade(cursor, run),
        ]
        parts += [_parity(cursor, runs), _stages(cursor, runs), _next(run, shop)]
    return "\n\n".join(part for part in parts if part)


_Cursor = psycopg.Cursor[dict[str, Any]]


def _heading(cursor: _Cursor, run: dict[str, Any]) -> str:
    built_on = cursor.execute(
        "select engine from audit.builds where run_id = %s group by engine order by count(*) desc, engine",
        [run["run_id"]],
    ).fetchall()
    engines = ", ".join(row["engine"] for row in built_on) or run["engine"]
    if run["kind"] == Kind.REPUBLISH:
        left = f"as publication {run['built_from']} left it; whole days up to {run['horizon']}"
        return f"Night of {run['night']}, put back: {run['state']} ({left})" + (
            f"\n{run['error']}" if run["error"] else ""
        )
    dry = ", a dry run: nothing was published" if run["dry_run"] else ""
    if run["kind"] == Kind.REPLAY:
        made = "nothing to release: nothing was published" if run["judged_at"] else f"{engines}{dry}"
        said = f"Replay of the quarantine, as of the night of {run['night']}: {run['state']} ({made})"
    else:
        said = f"Night of {run['night']}: {run['state']} ({engines}{dry})"
    return said + (f"\n{run['error']}" if run["error"] else "")


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
        where run_id = %s and kind = any(%s) order by source
        """,
        [run_id, list(PUBLISH_NIGHT)],
    ).fetchall()
    return _table(rows)


def _read_again(cursor: _Cursor, run_id: str) -> str:
    """Why sources were read or checked again: their definition had changed since the copy was made."""
    rows = cursor.execute(
        """
        select source, rechecked, array_to_string(anew, ', ') as why
        from audit.source_counts where run_id = %s and anew <> '{}' order by source
        """,
        [run_id],
    ).fetchall()
    return "\n".join(
        f"All rows of {row['source']} were {'checked' if row['rechecked'] else 'read'} again: {row['why']}"
        for row in rows
    )


def _quarantine(cursor: _Cursor, run_id: str) -> str:
    """The money of the rows that a run left in quarantine, and of those that it released, by source and currency."""
    rows = cursor.execute(
        """
        with judged as (
            select coalesce(max(published_at), max(judged_at)) as at
            from audit.runs left join audit.publications using (run_id) where run_id = %(run)s
        )
        select
            resolved_at is not distinct from at as released, source, coalesce(currency, 'of no currency') as currency,
            count(*) as rows, sum(amount) as amount
        from audit.quarantine cross join judged
        where amount <> 0 and quarantined_at <= at
            and (resolved_at is null or resolved_at > at or resolved_at = at and outcome = 'released')
        group by 1, 2, 3 order by 1, 2, 3
        """,
        {"run": run_id},
    ).fetchall()
    return "\n".join(
        f"{head}: {listed}"
        for head, released in (("At stake in quarantine", False), ("Released from it", True))
        if (listed := "; ".join(_money(row) for row in rows if row["released"] is released))
    )


def _warned(cursor: _Cursor, runs: Sequence[str]) -> str:
    """The rules that warn and that rows of these runs broke: the rows are published, and nobody else says so."""
    rows = cursor.execute(
        """
        select table_name as table, rule, broken, examples[1] as example, meaning
        from audit.expectation_results
        where run_id = any(%s) and severity = 'warn' and broken > 0
        order by starts_with(table_name, 'source.') desc, broken desc, table_name, rule
        """,
        [list(runs)],
    ).fetchall()
    lines = [
        f"  {row['table'].removeprefix('source.')}, {row['rule']}: {row['broken']:,} rows"
        f"{', such as ' + row['example'] if row['example'] else ''}. {row['meaning']}"
        for row in rows
    ]
    return "\n".join(["Warnings, of rows that were checked and are published", *lines]) if lines else ""


def _money(row: dict[str, Any]) -> str:
    """``1,234.56 EUR in 12 orders``."""
    name = row["source"].replace("_", " ")
    name = name.removesuffix("s") if row["rows"] == 1 else name
    return f"{written(row['amount'], row['currency'])} {row['currency']} in {row['rows']:,} {name}"


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


def _left_out(cursor: _Cursor, run_id: str) -> str:
    """The tables that this shop does not have, by the sources that it lacks."""
    rows = cursor.execute(
        """
        with lacking as (
            select schema_name || '.' || table_name as name, schema_name, array(
                select source from unnest(sources) as source
                where source not in (select source from audit.source_counts where run_id = %s)
                order by source
            ) as sources
            from audit.tables where left_out is not null
        )
        select
            array_to_string(sources, ', ') as sources,
            string_agg(name, ', ' order by schema_name desc, name) as names
        from lacking
        where sources <> '{}' and exists (select from audit.source_counts where run_id = %s)
        group by sources order by sources
        """,
        [run_id, run_id],
    ).fetchall()
    return "\n".join(f"Left out, because the shop has no {row['sources']}: {row['names']}" for row in rows)


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
        sales = "; ".join(
            f"{written(row['net_sales'], row['currency'])} {row['currency']} from {row['orders']:,}"
            f" order{'s' if row['orders'] != 1 else ''}"
            for row in rows
        )
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
        select case when kind = 'tables' then dag || ': ' else '' end || stage as stage,
            round(seconds::numeric, 1) as seconds
        from audit.stages join audit.runs using (run_id) where run_id = any(%s) order by stages.started_at
        """,
        [runs],
    ).fetchall()
    return _table(rows)


def _next(run: dict[str, Any], shop: str) -> str:
    psql, ui = (f"make {command}{f' SHOP={shop}' if shop else ''}" for command in ("psql", "ui"))
    width = max(15, len(psql) + 2)
    lines = [f"{psql:<{width}}then  select * from reporting.data_status;", f"{ui:<{width}}the runs, their reports"]
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
