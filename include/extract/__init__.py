"""Extraction: changed rows are read from the shop in one snapshot, and the copy is proven complete.

Belongs here: the shop's statements and whether they can be read, reading them, schema drift, checksums of both sides.
Does not: checking rows (``gate``) or storing them (``lake``).
"""
