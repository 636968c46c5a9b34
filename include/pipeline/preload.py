"""Imports that Airflow's scheduler does once, so that the workers it forks need not (14 s → 5 s for three tasks).

The generated ``airflow_local_settings.py`` imports this in every Airflow process; only the scheduler has the workers.
"""

from __future__ import annotations

import logging
import sys

if sys.argv[1:2] == ["scheduler"]:
    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # it tells at INFO what it registers

    import deltalake  # noqa: F401
    import duckdb  # noqa: F401
    import narwhals  # noqa: F401
    import pandas as pd  # noqa: F401

    import include.contract.expectations  # noqa: F401 - Great Expectations
