"""What contributors run: the generated pages, the skeleton of a new table, and the check of a change.

Belongs here: programs that read or write the project's own files, behind ``make docs``, ``make table`` and
``make check``. Does not: anything that a night needs; nothing else may import this room.
"""
