"""Imports that Airflow's scheduler and DAG processor do once, so that what they fork need not.

The scheduler forks the workers of tasks (14 s → 5 s for three tasks); the DAG processor forks one process whenever it
reads a file of DAGs (its imports: 0.7 s → 0.2 s). The generated ``airflow_local_settings.py`` imports this in every
process of Airflow.
"""

from __future__ import annotations

import logging
import sys

if sys.argv[1:2] in (["scheduler"], ["dag-processor"]):
    import deltalake  # noqa: F401
    import duckdb  # noqa: F401
    import limits  # noqa: F401
    import narwhals  # noqa: F401
    import psycopg  # noqa: F401
    import pydantic_settings  # noqa: F401

if sys.argv[1:2] == ["scheduler"]:
    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # it tells at INFO what it registers

    import pandas as pd  # noqa: F401

    import include.contract.expectations  # noqa: F401 - Great Expectations
