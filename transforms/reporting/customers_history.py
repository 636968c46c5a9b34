"""``reporting.customers_history``: what is kept of a customer, which is no name, and from when to when it was so.

A type 2 slowly changing dimension (Kimball and Ross, The Data Warehouse Toolkit). The shop has no history: its versions
are what the nights found (``transforms.versions``).
"""

from __future__ import annotations

from include.contract import Column, Rebuild, Table, Type
from include.contract.table import key
from transforms.engines import Frame
from transforms.versions import ENDS_LATER, VALID

TABLE = Table(
    schema="reporting",
    name="customers_history",
    grain="One row per customer and version: of the country of the account.",
    doc="A version begins with the last day that was over when a night found the change, whatever day that night was "
    "of, and however long before the shop made it. Of a day, the version that held is the one with valid_from <= day "
    "and (valid_to > day or valid_to is null). "
    "A deleted customer keeps their versions; the last one has ended. No name and no e-mail is kept.",
    columns=(
        key("customers", "customer_id", "The customer."),
        *VALID,
        Column("country", Type.TEXT, "ISO 3166 code of the account; null when unknown.", nullable=True),
    ),
    primary_key=("customer_id", "valid_from"),
    rebuild=Rebuild.full(),
    rules=(ENDS_LATER,),
)


def build(customers_versions: Frame) -> Frame:
    """Every version, as it is kept."""
    return customers_versions.select(column.lake_name for column in TABLE.columns)
