"""Publishing: a run's changes are staged, then replace the live rows that differ, in one transaction.

Readers keep their snapshot and never wait: rows are deleted and inserted, nothing is renamed or locked. A new table is
filled there, straight from the lake. The same transaction records the publication; a night's also syncs the quarantine
and moves the watermarks. A past night is put back in the same way.

Belongs here: what is staged, replaced and recorded, in which order. Does not: reconciliation (``audit``).
"""
