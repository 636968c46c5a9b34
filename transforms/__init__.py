"""The published tables: one file each, with the table's declaration and its build.

Belongs here: pure functions from input tables to a table, and the engines that run them. Does not: a clock, a
connection, a setting, Airflow, or file locations.
"""
