"""The lake: Delta tables in layers, and DuckDB to read and write them.

Belongs here: versions and files, merging, the views of a night, damaged files, orphan files. Does not: what a row
means, and which rows belong where.
"""
