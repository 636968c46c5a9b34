"""The shop's checksums of a source that is read in ranges: every range is summed by who reads it, and all are added up.

Sums are by piece of keys (``checksums``), of which a source has a limited number: what is held does not grow with it.
"""

from __future__ import annotations

import threading

import duckdb
import pyarrow as pa

from include.contract import Source
from include.extract.checksums import shop_pieces_sql


class RangeSums:
    """What the ranges add up to so far."""

    def __init__(self) -> None:
        """Nothing was summed yet."""
        self._sums: pa.Table | None = None
        self._adding = threading.Lock()

    @property
    def all(self) -> pa.Table | None:
        """Piece, number of rows, and sum of hashes; None where nothing was summed."""
        return self._sums

    def add(self, connection: duckdb.DuckDBPyConnection, source: Source, typed: str) -> None:
        """Sum the rows of a range in the shop.

        Args:
            connection: a session in which the shop is attached.
            source: the source.
            typed: the statement that returns the rows in the lake's types.
        """
        pieces = connection.execute(
            "select piece, rows, cast(hashes as decimal(38, 0)) as hashes from postgres_query('shop', ?)",
            [shop_pieces_sql(source, typed)],
        )
        found = pieces.to_arrow_reader(1_000_000).read_all()
        with self._adding:
            both = pa.concat_tables([self._sums, found]) if self._sums else found
            summed = both.group_by("piece").aggregate([("rows", "sum"), ("hashes", "sum")])
            self._sums = summed.rename_columns(["piece", "rows", "hashes"]).cast(found.schema)
