"""What OpenLineage is told of a task: the datasets that it read and wrote, their columns, rows, and checks.

Belongs here: which datasets a task has, from the ledger and the contracts, and what they are called. Does not: events,
runs and where they go to, which are Airflow's (its provider ``openlineage``); or anything that a night needs.
"""
