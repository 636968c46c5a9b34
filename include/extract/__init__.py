"""Extraction: the rows that changed, read from the shop in one snapshot, and the proof that the copy is complete.

Belongs here: reading the shop, its schema drift, checksums of both sides. Does not: judging rows (``gate``), and where
they are kept (``lake``).
"""
