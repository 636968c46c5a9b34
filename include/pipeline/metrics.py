"""The figures that Prometheus scrapes (``serve.exposition``), sent to a collector of OpenTelemetry by the scheduler.

Airflow's own metrics decide whether, where to and how often (``AIRFLOW__METRICS__OTEL_ON``). Names, labels and values
are the same, so that one dashboard shows either. The scheduler sends them because it is there all the time: a task's
process ends before anybody asks how old a table is.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Final

from pluggy import HookimplMarker

from include.pipeline.scheduler import is_scheduler
from include.settings.shops import shop_names

if TYPE_CHECKING:  # every process of Airflow loads this module, and only the scheduler needs more than its name
    from include.serve.exposition import Gauge, Value

hookimpl = HookimplMarker("airflow")
_SECONDS_TO_START: Final = 120  # the scheduler sets up its metrics after it has called its listeners
_SAME_SECONDS: Final = 5  # gauges that are asked for within this are of one snapshot
_log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: object) -> Thread | None:
    """A process of Airflow starts: the scheduler, where metrics are on, begins to send the figures."""
    if not is_scheduler(component):
        return None
    from airflow.configuration import conf

    if not conf.getboolean("metrics", "otel_on", fallback=False):
        return None
    thread = Thread(target=_send_when_ready, name="stocktake-metrics", daemon=True)
    thread.start()
    return thread


def send(meter: Any) -> None:
    """Have a meter of OpenTelemetry ask for every figure, whenever it sends: the ledger is read at that moment."""
    from opentelemetry.metrics import Observation

    from include.serve.exposition import GAUGES

    ledger = _Ledger()

    def observe(gauge: Gauge, _: Any) -> Iterator[Any]:
        for labels, value in ledger.values(gauge):
            yield Observation(value, labels)

    for gauge in GAUGES:
        meter.create_observable_gauge(gauge.name, [partial(observe, gauge)], description=gauge.meaning)


class _Ledger:
    """The figures, read once for all gauges. What goes wrong is a line in the log: the scheduler goes on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._process = os.getpid()
        self._clock = clock
        self._read_at: float | None = None
        self._found: dict[str, list[Value]] = {}
        self._lock = Lock()

    def values(self, gauge: Gauge) -> list[Value]:
        """A gauge's values; none in the processes that the scheduler forks, which inherit its metrics."""
        if os.getpid() != self._process:
            return []
        with self._lock:
            if self._read_at is None or self._clock() - self._read_at > _SAME_SECONDS:
                self._found = self._read()
                self._read_at = self._clock()
            return self._found.get(gauge.name, [])

    @staticmethod
    def _read() -> dict[str, list[Value]]:
        from include.serve.exposition import read

        try:
            return {gauge.name: found for gauge, found in read(shop_names() or (None,)).items()}
        except Exception as error:
            # Only the type of the error: its text may quote a connection string.
            _log.warning("the figures could not be read for the collector: %s", type(error).__name__)
            return {}


def _send_when_ready() -> None:
    until = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < until:
        if meter := _meter():
            send(meter)
            return
        time.sleep(0.5)


def _meter() -> Any:
    """A meter of the provider that Airflow has set up in this process; None where it has none yet."""
    from opentelemetry.metrics import get_meter_provider
    from opentelemetry.sdk.metrics import MeterProvider

    provider = get_meter_provider()
    return provider.get_meter("stocktake") if isinstance(provider, MeterProvider) else None
