"""Conservation: proofs, every night, that no row and no cent was lost or multiplied between the shop and the reader.

Belongs here: what must equal what, on which two sides, and comparing them. Does not: what one row of a table must
satisfy (its rules), nor whether the copy is the shop's (``completeness``). A proof that fails stops the night.
"""
