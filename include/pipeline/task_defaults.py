"""What every task of every DAG has in common: its owner, its patience, and what is worth another try."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from include.pipeline.troubles import ERRORS_THAT_MAY_PASS
from include.settings.shops import current_shop, enter_shop, shop_of

# Everything else (a broken contract, a wrong request, a bug) would fail again. A killed worker is always tried again.
_PASSES: Final[list[type[BaseException] | str]] = list(ERRORS_THAT_MAY_PASS)

# 20 s, 40 s, 80 s and 160 s after a failure that may pass.
_DEFAULTS: Final[dict[str, Any]] = {
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


def task_defaults() -> dict[str, Any]:
    """The arguments of every task of the shop that counts."""
    shop = current_shop()
    if shop is None:
        return _DEFAULTS
    return {**_DEFAULTS, "pool": pool_of(shop), "pre_execute": _enter}


def pool_of(shop: str) -> str:
    """The pool of one of several shops: it has slots of its own, so that no other shop can take them all."""
    return f"stocktake_{shop}"


def _enter(context: Mapping[str, Any]) -> None:
    """The first thing that a task does: from here on its shop's settings count in its process."""
    enter_shop(shop_of(context["ti"].dag_id))
