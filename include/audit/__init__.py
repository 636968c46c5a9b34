"""Reconciliation: proofs, every night, that no row and no cent was lost or multiplied between the shop and the tables.

Belongs here: what must equal what, on which two sides, and comparing them. Does not: what one row of a table must
satisfy (its rules), whether the copy is the shop's (``extract.completeness``), and whether Postgres holds what the lake
does (``publish.verification``).
"""
