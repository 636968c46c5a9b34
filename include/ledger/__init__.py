"""The ledger: schema ``audit`` in the warehouse. It records what happened to every row and table, every night.

Belongs here: writing and reading what a run did. Does not: deciding anything, or moving rows (``publish``).
"""
