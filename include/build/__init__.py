"""Building published tables in the lake: incremental where the change feed is complete, full otherwise.

Belongs here: which rows are computed again, their commit, digests. Does not: how a table is computed
(``transforms``), and which builds there are (``ledger``).
"""
