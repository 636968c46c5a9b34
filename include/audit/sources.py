"""Every row of every source is accounted for: source = accepted + quarantined + deleted."""

from __future__ import annotations

from collections.abc import Iterable

from include.audit.balance import Balance, Side

ACCOUNTS = "accounts"  # the relation with the ledger's row counts: one row per source


def source_balance(sources: Iterable[str]) -> Balance:
    """The balance of all sources: the rows that shop and extraction counted, and the rows in the lake now.

    Args:
        sources: the names of the shop's sources.
    """
    counted = " union all ".join(
        f"""
        select
            '{name}' as source,
            (select count(*) from clean.{name}) as accepted_rows,
            (select count(*) from quarantine.{name}) as held_rows
        """
        for name in sorted(sources)
    )
    return Balance(
        name="source_rows_accounted",
        meaning="Every row that the shop has, or ever had in our copy, is accepted, in quarantine or deleted.",
        key=("source",),
        one=Side(
            "the shop",
            ACCOUNTS,
            {
                "rows": "sum(source_rows)",
                "rows_ever": "sum(known + extracted - replaced)",
                "rows_read": "sum(extracted)",
            },
        ),
        other=Side(
            "the lake",
            f"({counted}) join {ACCOUNTS} using (source)",
            {
                "rows": "sum(accepted_rows + held_rows)",
                "rows_ever": "sum(accepted_rows + held_rows + deleted)",
                "rows_read": "sum(accepted + quarantined)",
            },
        ),
    )
