"""Building published tables in the lake: incremental where the change feed is complete, full otherwise.

Belongs here: which rows are computed again, committing them, digests. Does not: what a table is made of
(``transforms``), and which builds there are (``ledger``).
"""
