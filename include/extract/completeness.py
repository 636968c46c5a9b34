"""The completeness proof: copy and shop hold the same rows, by checksums that each side computes itself.

A watermark over ``updated_at`` misses rows that were deleted, and rows that were committed late with an old time. So in
the snapshot of the extraction, Postgres sums a hash per row, by bucket of keys; DuckDB does the same over the copy:
accepted rows, quarantined rows, and the rows just read. Where a bucket differs, its rows are read again. Rows that the
copy lacked were late; rows that only the copy has were deleted. After the gate the sums must be equal again.
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
from include.lake import storage
from include.lake.night_views import has_key


class Incomplete(RuntimeError):
    """Copy and shop differ, and reading again did not help; the message names the source and both sides."""


class Scope(StrEnum):
    """How much of a source is compared: all of it, or only new keys. Rows are always counted."""

    WHOLE = "whole"
    NEW_KEYS = "new keys"


@dataclass(frozen=True)
class ShopSums:
    """The shop's sums of a source, in its snapshot.

    Attributes:
        rows: the number of the source's rows.
        where: a predicate, the same in Postgres and DuckDB, for the rows that were summed.
        buckets: the sums of these rows.
    """

    rows: int
    where: str
    buckets: Sums

    def keep(self, run: str, source: str) -> None:
        """Save the sums with the hand-off to the gate, for the proof after the gate."""
        said = json.dumps({"rows": self.rows, "where": self.where, "buckets": dict(self.buckets)})
        storage.write(handoff.sums_file(run, source), said.encode())

    @classmethod
    def kept(cls, run: str, source: str) -> ShopSums:
        """Read the sums that ``keep`` saved.

        Raises:
            Forgotten: when the file is gone.
        """
        saved = json.loads(storage.read(handoff.waiting(handoff.sums_file(run, source))))
        buckets = {name: (rows, hashes) for name, (rows, hashes) in saved["buckets"].items()}
        return cls(saved["rows"], saved["where"], buckets)


@dataclass(frozen=True)
class Comparison:
    """Both sides of one source; ``copy_rows`` counts the whole copy."""

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
                f"the copy differs from the shop; nothing is published. {self.source}: the shop has {self.shop.rows:,}"
                f" rows, the copy {self.copy_rows:,}; {len(self.differing):,} of {BUCKETS:,} buckets of keys differ"
            )


def compare(
    connection: duckdb.DuckDBPyConnection, source: Source, shop: ShopSums, run: str | None = None, *, full: bool = False
) -> Comparison:
    """Sum the copy of a source in the same way as the shop.

    Args:
        connection: a session with the views of the night.
        source: the source.
        shop: the shop's side.
        run: the run that will replace rows of the copy: the copy is compared as this run will leave it. Without a run,
            the copy is compared as it is.
        full: whether that run read everything.
    """
    name = source.name
    read = copy_sums_sql(source, f"raw_{name} where {shop.where}")
    if full:
        parts = [read]
    elif shop.where == "true":
        parts = [known_sums_sql(connection, source)]
    else:
        parts = [copy_sums_sql(source, f"known_{name} where {shop.where}")]
    if run and not full:
        replaced = " or ".join(has_key(source, "row", f"{layer}_{name}") for layer in ("raw", "gone"))
        parts += [copy_sums_sql(source, f"known_{name} as row where ({replaced}) and {shop.where}", sign="-"), read]
    found = connection.execute(
        f"""
        select bucket, sum(rows), sum(cast(hashes as hugeint))
        from ({" union all ".join(parts)}) as parts
        group by bucket
        """
    )
    sums = {str(bucket): (int(rows), int(hashes)) for bucket, rows, hashes in found.fetchall() if rows or hashes}
    if shop.where == "true":
        return Comparison(name, shop, sum(rows for rows, _ in sums.values()), sums)
    counted = connection.execute(f"select count(*) from {name if run else f'known_{name}'}").fetchone() or (0,)
    return Comparison(name, shop, counted[0], sums)


def kept_proof(run: str, sources: Iterable[str]) -> Callable[[duckdb.DuckDBPyConnection, Source], None]:
    """The proof after the gate, against the shop's sums from before the gate.

    Args:
        run: the run whose extraction saved them.
        sources: the names of the shop's sources.

    Returns:
        ``prove`` for one source, to be called once everything is written.

    Raises:
        Forgotten: when the saved sums are gone.
    """
    shop = {name: ShopSums.kept(run, name) for name in sources}
    return lambda connection, source: prove(connection, source, shop[source.name])


def prove(connection: duckdb.DuckDBPyConnection, source: Source, shop: ShopSums) -> None:
    """Compare the rows after the gate, accepted and in quarantine, with the shop.

    Args:
        connection: a session with the views of the night, opened after everything was written.
        source: the source.
        shop: the shop's side.

    Raises:
        Incomplete: when they differ.
    """
    compare(connection, source, shop).must_hold()


def keep_copy(connection: duckdb.DuckDBPyConnection, source: Source, run: str) -> None:
    """Save the sums of the copy in place of the shop's, for a replay's proof after the gate.

    Rows that only move between accepted and quarantined do not change the sums.

    Args:
        connection: a session with the views of the night.
        source: the source.
        run: a run that does not read the shop.
    """
    copy = compare(connection, source, ShopSums(0, "true", {}))
    ShopSums(copy.copy_rows, "true", copy.copy).keep(run, source.name)


def new_keys_sql(connection: duckdb.DuckDBPyConnection, source: Source) -> str:
    """A predicate, the same in Postgres and DuckDB, that is true for every row with a new key, and for some others.

    For integer keys it is a range, which Postgres can find by index; for other keys it lists their buckets.
    """
    key, new = source[source.primary_key[0]], f"new_{source.name}"
    connection.execute(
        f"""
        create or replace temp view {new} as
        select * from raw_{source.name} as row where not {has_key(source, "row", f"known_{source.name}")}
        """
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
    """Find the late rows, which the copy lacks, and the deleted keys, which only the copy has.

    Args:
        connection: a session with the views of the night, and ``again_…`` with the shop's rows of the buckets.
        source: the source.
        buckets: the buckets that differ.

    Returns:
        Two relations: the shop's rows of every key whose rows differ, and the keys that only the copy has.
    """
    name, key = source.name, ", ".join(source.primary_key)
    some = ", ".join(f"'{bucket}'" for bucket in buckets)
    # "except all" counts duplicates: if the shop has a row twice, the copy may lack one of them.
    connection.execute(
        f"""
        create or replace temp table differing_{name} as
        with theirs as (
            select {key}, {copy_text(source)} as content from again_{name}
        ),
        ours as (
            select {key}, {copy_text(source)} as content from {name} where {bucket_sql(source)} in ({some})
        ),
        differing as (
            (from theirs except all from ours)
            union all
            (from ours except all from theirs)
        )
        select distinct {key} from differing
        """
    )
    late = f"(select * from again_{name} as row where {has_key(source, 'row', f'differing_{name}')})"
    deleted = f"(select * from differing_{name} as row where not {has_key(source, 'row', f'again_{name}')})"
    return late, deleted
