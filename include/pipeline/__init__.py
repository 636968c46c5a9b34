"""What the tasks of each DAG call: one module per DAG, and what a run was asked for.

Belongs here: the order of the steps, and what passes between them (through the ledger). Does not: how any step is done,
which is the room's of that step, and when it runs (``dags``).
"""
