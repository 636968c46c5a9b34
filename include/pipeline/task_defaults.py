"""What every task of every DAG has in common: its owner, its patience, and what is worth another try."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

# Trouble that passes: a server that is away, a connection that broke, a lake that another writer was quicker on.
# Everything else (a broken contract, a wrong request, a bug) would fail again. A killed worker is always tried again.
_PASSES: Final[list[type[BaseException] | str]] = [
    "builtins.OSError",  # and with it ConnectionError and TimeoutError
    "psycopg.OperationalError",
    "duckdb.IOException",
    "deltalake.exceptions.CommitFailedError",
]

# 20 s, 40 s, 80 s and 160 s after a failure that may pass.
TASK_DEFAULTS: Final[dict[str, Any]] = {
    "owner": "stocktake",
    "retries": 4,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": ExceptionRetryPolicy(
        [RetryRule(_PASSES, RetryAction.DEFAULT, reason="it may pass")], default=RetryAction.FAIL
    ),
    "execution_timeout": timedelta(hours=2),
}
