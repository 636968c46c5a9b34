"""The source `customers`."""

from __future__ import annotations

from include.contract import Column, Derived, Severity, Source, Type
from include.contract.rules import at_most, filled, matches

CUSTOMERS = Source(
    schema="source",
    name="customers",
    grain="One row per customer.",
    columns=(
        Column("customer_id", Type.INTEGER, "The customer."),
        Column("email", Type.TEXT, "Where order mail goes; null where the shop knows none.", nullable=True),
        Column("name", Type.TEXT, "The name on the account; null where the shop knows none.", nullable=True),
        Column("country", Type.TEXT, "ISO 3166 code of the account; null when unknown.", nullable=True),
        Column("created_at", Type.AT, "When the account was opened."),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("customer_id",),
    history=("country",),
    rules=(
        filled("email", "email_filled", "A customer can be written to.", severity=Severity.WARN),
        matches("email", "email_well_formed", "An email is name@host.", r"^[^@ ]+@[^@ ]+[.][^@ ]+$"),
        at_most("created_at", "_snapshot_at", "created_not_in_future", "No account is opened in the future."),
    ),
    begins="created_on",
    derived=(
        Derived(
            Column("created_on", Type.DAY, "Business day of created_at.", nullable=True), "business_day(row.created_at)"
        ),
    ),
)
