"""Reconciliation: proofs, every night, that no row and no cent was lost or multiplied between the shop and the tables.

Belongs here: which sums must be equal, and comparing them. Does not: what a single row must satisfy (its table's
rules), whether the copy equals the shop (``extract.completeness``), and whether Postgres equals the lake
(``publish.verification``).
"""
