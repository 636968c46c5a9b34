"""What every task of every DAG has in common: its owner, its patience, and what is never tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

# What is wrong in a contract, in a request or in the data is wrong the next time too; all else (connections, a killed
# worker) is tried again: after 20 s, 40 s, 80 s and 160 s.
_NEVER_RETRIED: Final[list[type[BaseException] | str]] = [
    "include.contract.table.ContractError",
    "include.night.WrongRequest",
    "include.validate.acceptance.NightStopped",
    "include.validate.judgement.GateDisagreement",
]

TASK_DEFAULTS: Final[dict[str, Any]] = {
    "owner": "stocktake",
    "retries": 4,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": ExceptionRetryPolicy([RetryRule(_NEVER_RETRIED, RetryAction.FAIL, reason="it would fail again")]),
    "execution_timeout": timedelta(hours=2),
}
