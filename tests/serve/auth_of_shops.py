"""Who may read which DAGs, for tests: as Airflow's simple auth manager says, but for one user."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class AuthOfShops(SimpleAuthManager):
    """The user berliner may read the DAGs of berlin alone."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **asked: Any) -> bool:
        """Whether a user may do something with a DAG, or with some DAG."""
        if user.get_id() == "berliner" and details and details.id and not details.id.endswith("__berlin"):
            return False
        return bool(super().is_authorized_dag(user=user, details=details, **asked))
