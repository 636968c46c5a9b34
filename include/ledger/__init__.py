"""The ledger: schema ``audit`` in the warehouse. What happened to every row and table, every night.

Belongs here: writing and reading what a run did. Does not: deciding anything; moving rows (that is ``publish``).
"""
