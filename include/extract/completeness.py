"""The completeness proof: copy and shop hold the same rows, by checksums that both sides compute for themselves.

A cursor over ``updated_at`` never sees a row that was deleted, nor one that was committed late with an old time. So in
the snapshot of the extraction, Postgres adds up a hash per row, by bucket of keys; DuckDB does the same over the copy:
accepted and quarantined rows, and what was just read. Where a bucket differs, its rows are read again. What the copy
lacked was late; what only the copy has was deleted. After the gate the sums must hold once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

import duckdb

from include.contract import Source, Type
from include.extract.checksums import BUCKETS, Sums, bucket_sql, copy_sums_sql, copy_text, known_sums_sql
from include.gate import handoff
from include.lake import duckdb_session as duck
from include.lake.night_views import has_key


class Incomplete(RuntimeError):
    """Copy and shop differ, and reading again did not help; the message names the source and both sides."""


class Scope(StrEnum):
    """How much of a source is compared: all of it, or the keys that are new. Rows are counted in any case."""

    WHOLE = "whole"
    NEW_KEYS = "new keys"


@dataclass(frozen=True)
class ShopSums:
    """What the shop says of a source in its snapshot.

    Attributes:
        rows: how many it holds.
        where: a predicate, alike in Postgres and DuckDB: the rows that were added up.
        buckets: their sums.
    """

    rows: int
    where: str
    buckets: Sums

    def keep(self, run: str, source: str) -> None:
        """Keep it at the gate, for the proof after it."""
        file = handoff.sums_file(run, source)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"rows": self.rows, "where": self.where, "buckets": dict(self.buckets)}))

    @classmethod
    def kept(cls, run: str, source: str) -> ShopSums:
        """What was kept.

        Raises:
            Forgotten: when it is gone.
        """
        said = json.loads(handoff.waiting(handoff.sums_file(run, source)).read_text())
        return cls(said["rows"], said["where"], {name: (rows, sums) for name, (rows, sums) in said["buckets"].items()})


@dataclass(frozen=True)
class Comparison:
    """One source on both sides; ``copy_rows`` counts all of the copy."""

    source: str
    shop: ShopSums
    copy_rows: int
    copy: Sums

    @property
    def rows_differ(self) -> bool:
        """Whether one side has more rows."""
        return self.copy_rows != self.shop.rows

    @property
    def differing(self) -> list[str]:
        """The buckets that differ, sorted."""
        shop = self.shop.buckets
        return sorted(bucket for bucket in shop.keys() | self.copy.keys() if shop.get(bucket) != self.copy.get(bucket))

    def must_hold(self) -> None:
        """Raise ``Incomplete`` unless both sides are equal."""
        if self.differing or self.rows_differ:
            raise Incomplete(
                f"the copy is not the shop's; nothing is published. {self.source}: the shop has {self.shop.rows:,}"
                f" rows, the copy {self.copy_rows:,}; {len(self.differing):,} of {BUCKETS:,} buckets of keys differ"
            )


def compare(
    connection: duckdb.DuckDBPyConnection, source: Source, shop: ShopSums, run: str | None = None, *, full: bool = False
) -> Comparison:
    """Add up the copy of a source as the shop was.

    Args:
        connection: a session in which the night is open.
        source: the source.
        shop: what the shop says.
        run: the run that will replace rows of the copy, to see it as the night will leave it; as it is without one.
        full: whether that run read everything.
    """
    name = source.name
    if full:
        copy = copy_sums_sql(source, f"raw_{name} where {shop.where}")
    elif shop.where == "true":
        copy = known_sums_sql(connection, source)
    else:
        copy = copy_sums_sql(source, f"known_{name} where {shop.where}")
    if run and not full:
        replaced = " or ".join(has_key(source, "row", f"{layer}_{name}") for layer in ("raw", "gone"))
        less = copy_sums_sql(source, f"known_{name} as row where ({replaced}) and {shop.where}", sign="-")
        copy = f"{copy} union all {less} union all {copy_sums_sql(source, f'raw_{name} where {shop.where}')}"
    found = connection.execute(f"select bucket, sum(rows), sum(cast(hashes as hugeint)) from ({copy}) group by bucket")
    sums = {str(bucket): (int(rows), int(hashes)) for bucket, rows, hashes in found.fetchall() if rows or hashes}
    if shop.where == "true":
        return Comparison(name, shop, sum(rows for rows, _ in sums.values()), sums)
    counted = connection.execute(f"select count(*) from {name if run else f'known_{name}'}").fetchone() or (0,)
    return Comparison(name, shop, counted[0], sums)


def kept_proof(run: str, sources: Iterable[str]) -> Callable[[duckdb.DuckDBPyConnection, Source], None]:
    """The proof after the gate, by what the shop said before it.

    Args:
        run: the run whose extraction kept it.
        sources: the names of the shop's sources.

    Returns:
        ``prove`` of one source, in a session in which the night is open, after everything was written.

    Raises:
        Forgotten: when what was kept is gone.
    """
    shop = {name: ShopSums.kept(run, name) for name in sources}
    return lambda connection, source: prove(connection, source, shop[source.name])


def prove(connection: duckdb.DuckDBPyConnection, source: Source, shop: ShopSums) -> None:
    """Compare what the gate left, accepted and in quarantine, with what the shop said.

    Args:
        connection: a session in which the night is open, after everything was written.
        source: the source.
        shop: what the shop said.

    Raises:
        Incomplete: when they differ.
    """
    compare(connection, source, shop).must_hold()


def keep_copy(connection: duckdb.DuckDBPyConnection, source: Source, run: str) -> None:
    """Keep what the copy adds up to in place of what the shop says, for the proof after the gate of a replay.

    Rows that only move between accepted and quarantined change none of it.

    Args:
        connection: a session in which the night is open.
        source: the source.
        run: a run that asks no shop.
    """
    copy = compare(connection, source, ShopSums(0, "true", {}))
    ShopSums(copy.copy_rows, "true", copy.copy).keep(run, source.name)


def new_keys_sql(connection: duckdb.DuckDBPyConnection, source: Source) -> str:
    """A predicate, alike in Postgres and DuckDB, of rows among which are all whose keys the copy did not have.

    For whole numbers a range, which Postgres finds by its index; for other keys their buckets.
    """
    key, new = source[source.primary_key[0]], f"new_{source.name}"
    connection.execute(
        f"create or replace temp view {new} as select * from raw_{source.name} as row"
        f" where not {has_key(source, 'row', f'known_{source.name}')}"
    )
    if key.type is Type.INTEGER:
        (least,) = connection.execute(f"select min({key.lake_name}) from {new}").fetchone() or (None,)
        return "false" if least is None else f"{key.lake_name} >= {least}"
    buckets = connection.execute(f"select distinct {bucket_sql(source)} from {new}").fetchall()
    return (
        f"{bucket_sql(source)} in ({', '.join(duck.quoted(bucket) for (bucket,) in buckets)})" if buckets else "false"
    )


def find_late_and_deleted(
    connection: duckdb.DuckDBPyConnection, source: Source, buckets: Collection[str]
) -> tuple[str, str]:
    """Tell the rows that the copy lacks from those that only it has.

    Args:
        connection: a session in which the night is open and ``again_s`` holds the shop's rows of the buckets.
        source: the source.
        buckets: those that differ.

    Returns:
        Two relations: the shop's rows of every key whose rows differ, and the keys that are only in the copy.
    """
    name, key = source.name, ", ".join(source.primary_key)
    some = ", ".join(f"'{bucket}'" for bucket in buckets)
    theirs = f"select {key}, {copy_text(source)} as said from again_{name}"
    ours = f"select {key}, {copy_text(source)} as said from {name} where {bucket_sql(source)} in ({some})"
    # As often as they occur: of a row that stands twice in the shop, the copy may lack one.
    connection.execute(
        f"create or replace temp table differing_{name} as select distinct {key} from ("
        f"(({theirs}) except all ({ours})) union all (({ours}) except all ({theirs})))"
    )
    late = f"(select * from again_{name} as row where {has_key(source, 'row', f'differing_{name}')})"
    deleted = f"(select * from differing_{name} as row where not {has_key(source, 'row', f'again_{name}')})"
    return late, deleted
