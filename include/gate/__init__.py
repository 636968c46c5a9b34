"""The gate: tonight's rows are checked by Great Expectations, then accepted, quarantined, or they stop the night.

Belongs here: which rows are checked, by which rules, and where they go. Does not: what the rules are (``contract``,
``sources``), and reading the shop (``extract``).
"""
