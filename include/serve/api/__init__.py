"""The API of the published tables and of the runs, for programs: ``/stocktake/api/v1``, behind Airflow's login.

Belongs here: what a request may ask, and how it is answered. Does not: figures that nobody else shows, or any
writing but of who asked for which export.
"""
