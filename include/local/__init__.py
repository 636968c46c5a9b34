"""Airflow and the embedded Postgres on one machine, for ``make nightly``, ``ui``, ``psql``, ``env``.

Belongs here: profiles and their state, the environment of every process, starting and stopping processes, Airflow's
REST API. Does not: any step of a night (``dags``), and reading settings (``include.settings``): this package only makes
the environment that is read there.
"""
