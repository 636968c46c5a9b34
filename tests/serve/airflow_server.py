"""Airflow's API server with the real plugin and the real login, over an empty metadata database of its own.

Started as a program, because Airflow reads its environment once per process: ``airflow_server.py PORT``.
"""

from __future__ import annotations

import sys

import uvicorn


def main(port: int) -> None:
    """Serve until killed."""
    from airflow import models, settings
    from airflow.api_fastapi.app import create_app

    app = create_app(apps="core")
    models.import_all_models()  # type: ignore[no-untyped-call]
    # The tables as they are now, at once; migrating through all of history takes 7 s.
    models.base.Base.metadata.create_all(settings.engine)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]))
