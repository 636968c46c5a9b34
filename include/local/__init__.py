"""Airflow and the embedded Postgres on one machine: what stands behind ``make nightly``, ``ui``, ``psql``, ``env``.

Belongs here: profiles and their state, the environment every process gets, starting and ending processes, talking
to Airflow as a person would. Does not: anything a night itself does (``dags``), and reading settings
(``include.settings``): this package only produces the environment that is read there.
"""
