"""The published tables: one file each, holding what the table means and how it is made.

Belongs here: pure functions from input tables to a table, and the engines that run them. Does not: a clock, a
connection, a setting, Airflow, or where the files lie.
"""
