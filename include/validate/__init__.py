"""The gate: tonight's rows are judged by Great Expectations, then accepted, quarantined, or they stop the night.

Belongs here: which rows are judged, by which rules, and where they go. Does not: what the rules are (contracts).
"""
