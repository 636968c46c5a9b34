"""What kits are made of: units of a kit become units of the products on whose shelves its parts lie.

A kit in a kit is exploded too, down to what is no kit. What a kit was made of on a day is what its versions say of that
day (``transforms.versions``): a sale of last week keeps the recipe of last week.
"""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw

from include.contract.kits import MOST_LEVELS
from transforms.arithmetic import worth
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

    def made_of(rows: Frame) -> Frame:
        valid_to = nw.col("valid_to")
        held = (nw.col("valid_from") <= nw.col("day")) & (valid_to.is_null() | (valid_to > nw.col("day")))
        return (
            rows.join(kit_components_versions, on="product_id", how="inner")
            .filter(held)
            .with_columns(
                units=worth(nw.col("units"), nw.col("units_per_kit"), unit_parts), made_into=nw.col("product_id")
            )
            .with_columns(product_id=nw.col("component_id"))
            .select(*key, "units", "made_into")
        )

    level, found = made_of(kits.with_columns(kit_id=nw.col("product_id"))), []
    for _ in range(MOST_LEVELS - 1):
        below = made_of(level)
        kits_in_kits = below.select("day", product_id=nw.col("made_into")).group_by("day", "product_id").agg(nw.len())
        found.append(level.join(kits_in_kits.select("day", "product_id"), on=["day", "product_id"], how="anti"))
        level = below
    # A row in quarantine may leave a kit deeper than it goes, whose last version holds.
    kits_below = kit_components_versions.select("product_id", "valid_from", "valid_to")
    held = (nw.col("valid_from") <= nw.col("day")) & (
        nw.col("valid_to").is_null() | (nw.col("valid_to") > nw.col("day"))
    )
    deeper = level.select("day", "product_id").join(kits_below, on="product_id", how="inner").filter(held)
    deeper = deeper.group_by("day", "product_id").agg(nw.len()).select("day", "product_id")
    parts = nw.concat([*found, level.join(deeper, on=["day", "product_id"], how="anti")])
    return parts.group_by(key).agg(nw.col("units").sum())
