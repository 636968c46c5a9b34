"""The gate: Great Expectations checks tonight's rows, which are then accepted or quarantined, or stop the night.

Belongs here: which rows are checked, by which rules, and where they go; and whether the day that they make is like the
days before it. Does not: what the rules are (``contract``,
``sources``), and reading the shop (``extract``).
"""
