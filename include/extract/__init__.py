"""Extraction: changed rows are read from the shop in one snapshot, and the copy is proven complete.

Belongs here: reading the shop, schema drift, checksums of both sides. Does not: checking rows (``gate``) or storing
them (``lake``).
"""
