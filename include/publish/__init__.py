"""Publishing: what a run changed is staged, then replaces what differs in the live tables, in one transaction.

Readers keep their snapshot and never wait: rows are deleted and inserted, nothing is renamed or locked. The same
transaction enters the publication; a night's also syncs the quarantine and moves the watermarks. A past night that is
put back is published in the same way.

Belongs here: what is staged, replaced and entered, in which order. Does not: whether it adds up (``audit``).
"""
