"""What every task of every DAG has in common: its owner, its patience, and what is worth another try."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from include.pipeline.troubles import ERRORS_THAT_MAY_PASS

# Everything else (a broken contract, a wrong request, a bug) would fail again. A killed worker is always tried again.
_PASSES: Final[list[type[BaseException] | str]] = list(ERRORS_THAT_MAY_PASS)

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
