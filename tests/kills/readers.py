"""Analysts who read the tables again and again, whatever becomes of the loader."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from tests.conftest import Database

Seen = tuple[Any, ...]

# What readers have: the rows of the tables, what data_status says of them, and what the ledger does. A publication is
# told by its place among all: a transaction that was undone leaves a gap in their numbers.
_PLACE = "(select count(*) from audit.publications as earlier where earlier.publication_id <= {})"
_QUESTIONS = (
    "select string_agg((day, amount)::text, ' ' order by day) from reporting.till",
    "select string_agg((receipt_id, amount)::text, ' ' order by receipt_id) from reporting.receipts",
    f"select {_PLACE.format('max(_publication_id)')} from reporting.till",
    f"select {_PLACE.format('max(_publication_id)')} from reporting.receipts",
    f"""
    select string_agg(
        (published_table, last_day, rows, verdict, {_PLACE.format("status.publication_id")})::text,
        ' ' order by published_table
    )
    from reporting.data_status as status
    """,
    "select count(*) from audit.publications",
    "select count(*) from audit.publication_tables",
    "select count(*) from audit.publication_sources",
    "select count(*) from audit.restatements",
    "select string_agg((source, changed_until)::text, ' ' order by source) from audit.watermarks",
)
_AT_ONCE = f"select {', '.join(f'({question})' for question in _QUESTIONS)}".encode()


def look(database: Database) -> Seen:
    """What a reader has now, in one statement."""
    with database.connect("analyst") as reader:
        return _in_a_statement(reader)


@contextmanager
def readers(database: Database) -> Iterator[Counter[Seen]]:
    """Two who read until the block ends, one in single statements, one in transactions; how often each saw what."""
    seen: Counter[Seen] = Counter()
    stop = threading.Event()

    def read(ask: Any) -> None:
        while not stop.is_set():
            with suppress(psycopg.OperationalError), database.connect("analyst") as reader:  # Postgres starts again
                while not stop.wait(0.005):
                    seen[ask(reader)] += 1
            stop.wait(0.05)

    threads = [threading.Thread(target=read, args=(ask,)) for ask in (_in_a_statement, _in_a_transaction)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _in_a_statement(reader: psycopg.Connection[Any]) -> Seen:
    row = reader.execute(_AT_ONCE).fetchone()
    assert row
    return tuple(row)


def _in_a_transaction(reader: psycopg.Connection[Any]) -> Seen:
    """One question after the other, in one snapshot."""
    with reader.transaction():
        reader.execute("set transaction isolation level repeatable read, read only")
        return tuple(reader.execute(question.encode()).fetchall()[0][0] for question in _QUESTIONS)
