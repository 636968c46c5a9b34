"""What Airflow registers for Stocktake: the pages, links to them, and listeners.

These keep the ledger, send figures, and see to the pools of several shops.
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.ledger import listener
from include.pipeline import metrics, pools
from include.serve import PREFIX, OnDemand
from include.settings.shops import shop_names

# Of several shops, whose run it is says its DAG.
_OF_A_RUN = "/dags/{DAG_ID}/runs/{RUN_ID}" if shop_names() else "/runs/{RUN_ID}"


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
            "href": f"{PREFIX.removeprefix('/')}{_OF_A_RUN}",
            "destination": "dag_run",
            "url_route": "night-report",
        },
    ]
    listeners = [listener, metrics, pools]  # noqa: RUF012 - Airflow's own
