"""What kits are made of: units of a kit become units of the products on whose shelves its parts lie.

A kit in a kit is exploded too, down to what is no kit. What a kit was made of on a day is what its versions say of that
day (``transforms.versions``): a sale of last week keeps the recipe of last week.
"""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw

from include.contract.kits import MOST_LEVELS
from transforms.arithmetic import with_worth
from transforms.engines import Frame


def exploded(kits: Frame, kit_components_versions: Frame, unit_parts: int, per: Sequence[str] = ()) -> Frame:
    """The products that units of kits are made of; what is no kit on its day is left out.

    So is what lies deeper than a kit may go (``MOST_LEVELS``), which a row that went into quarantine may leave.

    Columns: ``day``, ``kit_id``, those in ``per``, ``product_id`` (a product that is no kit) and its ``units``, added
    up over all that the kit holds of it.

    Args:
        kits: ``day``, ``product_id``, ``units`` and the columns in ``per``.
        kit_components_versions: the versions of the source.
        unit_parts: how many of the lake's units are one unit.
        per: the other columns that tell rows apart (``warehouse_id``).
    """
    key = ["day", "kit_id", *per, "product_id"]
    days = kits.group_by("day").agg(nw.len()).select("day")
    valid_to = nw.col("valid_to")
    made_of = (
        days.join(kit_components_versions, how="cross")
        .filter((nw.col("valid_from") <= nw.col("day")) & (valid_to.is_null() | (valid_to > nw.col("day"))))
        .select("day", "product_id", "component_id", "units_per_kit")
    )
    # Each level reads the one before once: read twice, DuckDB would plan the first sixteen times.
    rows = _opened(
        kits.with_columns(kit_id=nw.col("product_id")).join(made_of, on=["day", "product_id"]), key, unit_parts
    )
    for _ in range(MOST_LEVELS - 1):
        rows = _opened(rows.join(made_of, on=["day", "product_id"], how="left"), key, unit_parts)
    # A row in quarantine may leave a kit deeper than it goes, whose last version holds.
    parts = rows.join(made_of, on=["day", "product_id"], how="anti")
    return parts.group_by(key).agg(nw.col("units").sum())


def _opened(rows: Frame, key: Sequence[str], unit_parts: int) -> Frame:
    """The components of what is a kit, which has a ``component_id``, and what is none as it is."""
    is_kit = ~nw.col("component_id").is_null()
    return (
        with_worth(rows, unit_parts, inside=("units", "units_per_kit"))
        .with_columns(
            units=nw.when(is_kit).then(nw.col("inside")).otherwise(nw.col("units")),
            product_id=nw.when(is_kit).then(nw.col("component_id")).otherwise(nw.col("product_id")),
        )
        .select(*key, "units")
    )
