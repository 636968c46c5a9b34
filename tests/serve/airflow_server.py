"""Airflow's API server with the real plugin and the real login, over an empty metadata database of its own.

Started as a program, because Airflow reads its environment once per process: ``airflow_server.py PORT``. It knows the
DAGs in its folder, if there is one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn


def main(port: int) -> None:
    """Serve until killed."""
    from airflow import models, settings
    from airflow.api_fastapi.app import create_app

    app = create_app(apps="core")
    models.import_all_models()  # type: ignore[no-untyped-call]
    # The tables as they are now, at once; migrating through all of history takes 7 s.
    models.base.Base.metadata.create_all(settings.engine)
    if Path(settings.DAGS_FOLDER).exists():
        _read_dags()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def _read_dags() -> None:
    """What the DAG processor does, once."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.utils.db import synchronize_log_template

    synchronize_log_template()  # to which every run refers
    manager = DagBundlesManager()  # type: ignore[no-untyped-call]
    manager.sync_bundles_to_db()
    for bundle in manager.get_all_dag_bundles():
        bag = BundleDagBag(bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
        sync_bag_to_db(bag, bundle.name, bundle.version)


if __name__ == "__main__":
    main(int(sys.argv[1]))
