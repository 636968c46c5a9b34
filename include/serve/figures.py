"""What the pages show of the ledger, each read in one read-only snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from threading import BoundedSemaphore
from typing import Any, Final

import psycopg
from psycopg import IsolationLevel
from psycopg.errors import QueryCanceled, UndefinedTable
from psycopg.rows import dict_row
from pydantic import ValidationError

from include.ledger.anomalies import OF_RUN
from include.ledger.connection import connect
from include.ledger.redaction import redacted
from include.settings.shops import PerShop

LATEST = 60  # runs in the list: two months of nights

Row = dict[str, Any]
Cursor = psycopg.Cursor[Row]

RUNS: Final = """
select
    runs.*, publication.publication_id, publication.published_at, counts.held, counts.incomplete,
    coalesce(steps.audited, false) as audited, steps.last_stage,
    exists (select from audit.builds where builds.run_id = runs.run_id and schema_name = 'features') as has_features,
    coalesce(asked.waits, false) as waits, standing.standing_at, standing.standing_horizon
from audit.runs
left join lateral (
    select publication_id, published_at
    from audit.publications
    -- a publication from before the run was started again belongs to another attempt
    where publications.run_id = runs.run_id and published_at >= runs.started_at
    order by publication_id desc limit 1
) as publication on true
left join lateral (
    select
        sum(held_rows)::bigint as held,
        coalesce(array_agg(source order by source) filter (where not complete), '{}') as incomplete
    from audit.source_counts where source_counts.run_id = runs.run_id
) as counts on true
left join lateral (
    select bool_or(stage = 'audit') as audited, (array_agg(stage order by started_at desc))[1] as last_stage
    from audit.stages where stages.run_id = runs.run_id
) as steps on true
left join lateral (
    select answer is null as waits
    from audit.approvals
    where approvals.run_id = runs.run_id and asked_at >= runs.started_at
    order by approval_id desc limit 1
) as asked on true
left join lateral (
    select publications.published_at as standing_at, publications.horizon as standing_horizon
    from audit.publications join audit.runs as other using (run_id)
    where case when runs.kind = 'tables' then other.dag = runs.dag else other.kind not in ('tables', 'removal') end
        and publications.published_at <= coalesce(runs.finished_at, now())
    order by publication_id desc limit 1
) as standing on true
"""


def runs() -> list[Row]:
    """The latest runs, the newest first.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    return _all(f"{RUNS} order by runs.started_at desc limit {LATEST}")


def last_night() -> tuple[Row | None, int, dict[str, Decimal]]:
    """The last night that was to publish, None before the first; rows in quarantine now, and their money by currency.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    nights = _all(f"{RUNS} where runs.kind = 'night' and not runs.dry_run order by runs.started_at desc limit 1")
    held = _all(
        "select currency, count(*) as rows, sum(amount) as amount from audit.quarantine"
        " where outcome = 'open' group by currency"
    )
    amounts = {one["currency"] or "?": one["amount"] for one in held if one["amount"] is not None}
    return next(iter(nights), None), sum(one["rows"] for one in held), amounts


def unusual(run_id: str) -> list[Row]:
    """The figures of a run's day that are unusual and that nobody has explained, the furthest off first.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    return [row for row in _all(OF_RUN, {"run": run_id}) if row["reason"] is None]


def status() -> list[Row]:
    """``reporting.data_status``, tables that need attention first.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    return _all(
        """
        select
            published_table, last_day, rows, published_at, publication_id, complete, quarantined_rows, verdict,
            -- As text: a number of JSON is read as a float.
            coalesce(
                (select jsonb_object_agg(key, value) from jsonb_each_text(quarantined_amounts)), '{}'
            ) as quarantined_amounts
        from reporting.data_status order by verdict = 'ok', published_table
        """
    )


def relations() -> dict[str, dict[str, dict[str, str]]]:
    """By source, the shop's tables and views that its statement reads, and by those their columns with their types.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    found = _all("select source, relations from audit.source_schemas order by source")
    return {row["source"]: {name: relation["columns"] for name, relation in row["relations"].items()} for row in found}


def counts(source: str) -> Row | None:
    """What the latest publication says of a source: its run, rows in the shop, in the lake and in quarantine.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    found = _all(
        """
        select publications.night, publications.run_id, source_rows, clean_rows, held_rows
        from audit.publication_sources join audit.publications using (publication_id)
        where source = %(source)s order by publication_id desc limit 1
        """,
        {"source": source},
    )
    return next(iter(found), None)


def quarantine(source: str | None, rule: str | None, after: int, limit: int) -> list[Row]:
    """Rows in quarantine, in the order in which they came.

    Args:
        source: of this source only, or None.
        rule: that break this rule only, or None.
        after: the ``quarantine_id`` after which to begin.
        limit: the most rows.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    return _all(
        """
        select * from audit.quarantine
        where outcome = 'open' and quarantine_id > %(after)s
            and (%(source)s::text is null or source = %(source)s)
            and (%(rule)s::text is null or %(rule)s = any(rules))
        order by quarantine_id limit %(limit)s
        """,
        {"source": source, "rule": rule, "after": after, "limit": limit},
    )


def _all(statement: str, asked: Row | None = None) -> list[Row]:
    try:
        with snapshot() as cursor:
            return cursor.execute(statement, asked).fetchall()
    except UndefinedTable:  # before the first night there is no ledger
        return []


class Busy(RuntimeError):
    """The pages have all connections that they may have, or their query took too long; the message says which."""


# What keeps one of several shops from being shown: the others are shown all the same.
TROUBLES: Final = (ConnectionError, Busy, psycopg.Error, ValidationError)


def said(error: BaseException) -> str:
    """What of an error a page or a log may say: of one that is not ours, its type, as its text may quote a URL."""
    return redacted(str(error)) if isinstance(error, ConnectionError | Busy) else type(error).__name__


_MOST_CONNECTIONS: Final = 4
_SECONDS: Final = 10
_free = PerShop(lambda: BoundedSemaphore(_MOST_CONNECTIONS))  # to the warehouse of each


@contextmanager
def snapshot() -> Iterator[Cursor]:
    """A read-only snapshot. No page waits for long: others would pile up behind it, those of Airflow itself too.

    Raises:
        Busy: when all connections are taken, or after ten seconds.
        ConnectionError: when the warehouse cannot be reached.
    """
    free = _free()
    if not free.acquire(timeout=1):
        raise Busy(f"other pages have all {_MOST_CONNECTIONS} connections: try again in a minute")
    try:
        with connect() as connection:
            connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
            with connection.cursor(row_factory=dict_row) as cursor:
                cursor.execute("select set_config('statement_timeout', %s, true)", [f"{_SECONDS}s"])
                yield cursor
    except QueryCanceled as error:
        raise Busy(
            f"the warehouse did not answer within {_SECONDS} s; a table may be locked: try again in a minute"
        ) from error
    finally:
        free.release()
