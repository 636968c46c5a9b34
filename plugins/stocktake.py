"""What Airflow registers for Stocktake: the pages, links to them, and listeners: they keep the ledger, send figures."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.ledger import listener
from include.pipeline import metrics
from include.serve import PREFIX, OnDemand


class StocktakePlugin(AirflowPlugin):
    """Pages under ``/stocktake``, behind Airflow's login; a report in every run of the night."""

    name = "stocktake"
    fastapi_apps = [{"app": OnDemand(), "url_prefix": PREFIX, "name": "Stocktake"}]  # noqa: RUF012 - Airflow's own
    external_views = [  # noqa: RUF012 - Airflow's own
        {
            "name": "Stocktake",
            "href": f"{PREFIX.removeprefix('/')}/",  # below wherever Airflow itself is served
            "destination": "nav",
            "url_route": "stocktake",
        },
        {
            "name": "Night report",
            "href": f"{PREFIX.removeprefix('/')}/runs/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "night-report",
        },
    ]
    listeners = [listener, metrics]  # noqa: RUF012 - Airflow's own
