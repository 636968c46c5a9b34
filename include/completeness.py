"""The completeness check: the copy must come to as many rows as the shop holds.

A cursor over ``updated_at`` never sees a row that was deleted, nor one that was committed late with an old time. So the
shop's rows are counted in the snapshot itself, and where the copy would not come to the same number, the source is
read whole. A count does not see an old row changed without its time, nor a deletion that a late insertion makes up
for: that is what a full refresh is for.
"""

from __future__ import annotations

import duckdb

from include import duck, lake
from include.contract import Source


def rows_of_copy(connection: duckdb.DuckDBPyConnection, source: Source, run: str) -> int:
    """How many rows the copy of a source comes to with what a run has read: clean, in quarantine, and new.

    Args:
        connection: a session of ``include.duck``.
        source: the source.
        run: the run whose rows in lake/raw replace older ones of their key.
    """
    key = [source[name] for name in source.primary_key]
    same_key = " and ".join(f"old.{column.name} is not distinct from new.{column.name}" for column in key)
    new = duck.relation(lake.files("raw", source.name, run=run), key)
    known = lake.files("clean", source.name) + lake.files("quarantine", source.name)
    row = connection.execute(
        f"""
        select (select count(*) from {new}) + (
            select count(*) from {duck.relation(known, key)} as old
            where not exists (select 1 from {new} as new where {same_key})
        )
        """
    ).fetchone()
    return int(row[0]) if row else 0
