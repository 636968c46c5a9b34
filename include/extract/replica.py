"""A read replica as the shop: of which instant its rows are, by the primary's clock."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

import duckdb

from include.contract.types import day_number
from include.extract.work import shop_row
from include.lake import duckdb_session as duck

# What a replica has replayed ends with the last commit; where nobody has written since, that may be hours ago. But if
# it has replayed all that the primary had when it sent its last message (it does so twice a minute at least, by
# default), the rows are of that instant. A role that may not see the receiver, or a replica without one, goes by the
# commit.
_AS_OF: Final = """
select
    as_of,
    extract(epoch from now() - as_of)::float8 as lag_seconds
from (
    select case when replayed is not null then least(now(), replayed) end as as_of  -- "least" passes over a null
    from (
        select greatest(pg_last_xact_replay_timestamp(), (
            select last_msg_send_time from pg_stat_wal_receiver
            where status = 'streaming' and pg_last_wal_replay_lsn() >= latest_end_lsn
        )) as replayed
    ) as of_primary
) as of_both
"""


class ReplicaBehind(ConnectionError):
    """A replica has not all rows of the day yet, or cannot say: it may have them at the next try."""


def before_snapshot(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    """Of which instant the rows of a replica are at least, to be asked before the snapshot; None of a primary."""
    (is_replica,) = shop_row(connection, "select pg_is_in_recovery()")
    return shop_row(connection, _AS_OF)[0] if is_replica else None


def replayed_until(
    connection: duckdb.DuckDBPyConnection, day: date | None = None, before: datetime | None = None
) -> tuple[datetime, float]:
    """Of which instant the rows of a replica are, and how many seconds it lags behind.

    Args:
        connection: a session in which the shop is attached.
        day: the last business day that is read whole.
        before: what ``before_snapshot`` said. The replica goes on replaying between the snapshot and this question, and
            the snapshot lacks what was replayed then: the earlier of both holds.

    Raises:
        ReplicaBehind: when it has not all rows of the day, or cannot say.
    """
    as_of, lag = shop_row(connection, _AS_OF)
    if as_of is None:
        raise ReplicaBehind(
            "the shop is a replica that is not connected to its primary and has replayed no commit since it was"
            " started: of which instant its rows are is not known"
        )
    if before is not None and before < as_of:
        lag += (as_of - before).total_seconds()
        as_of = before
    if day is not None and day_number(day) > duck.last_whole_day(as_of):
        raise ReplicaBehind(f"the shop is a replica, {lag:,.0f} s behind: it has no rows after {as_of}, in {day}")
    return as_of, lag
