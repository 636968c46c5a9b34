"""The gate: Great Expectations checks tonight's rows, which are then accepted or quarantined, or stop the night.

Belongs here: which rows are checked, by which rules, and where they go. Does not: what the rules are (``contract``,
``sources``), and reading the shop (``extract``).
"""
