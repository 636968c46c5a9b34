"""Spans in Airflow's trace of a run. Where Airflow sends no traces, nothing is imported and nothing is timed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from include.telemetry.statement_text import operation, without_values

SLOW_SECONDS: Final = 1.0  # a statement that takes less is part of its stage


def recording() -> bool:
    """Whether Airflow records a span just now, so that others may go below it."""
    trace = _api()
    return trace is not None and trace.get_current_span().is_recording()


@contextmanager
def span(name: str, **attributes: str) -> Iterator[None]:
    """A span below the current one for the time of this block; its attributes begin with ``stocktake.``.

    Of an error it has the type alone: a message may quote rows, or a connection string.
    """
    if not recording():
        yield
        return
    trace = _api()
    with trace.get_tracer(__package__).start_as_current_span(
        name,
        attributes={f"stocktake.{key}": value for key, value in attributes.items()},
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except BaseException as error:
            current.set_status(trace.Status(trace.StatusCode.ERROR, type(error).__name__))
            raise


@contextmanager
def statement(system: str, text: Callable[[], str]) -> Iterator[None]:
    """Run one SQL statement in this block; if it takes longer than ``SLOW_SECONDS``, there is a span of it.

    Args:
        system: ``postgresql`` or ``duckdb``.
        text: gives the statement, and is asked only if it was slow; the span has it without its values.
    """
    started = time.time_ns()
    failed = ""
    try:
        yield
    except BaseException as error:
        failed = type(error).__name__
        raise
    finally:
        ended = time.time_ns()
        if ended - started > SLOW_SECONDS * 1e9 and recording():
            trace, said = _api(), text()
            current = trace.get_tracer(__package__).start_span(
                operation(said),
                kind=trace.SpanKind.CLIENT,
                start_time=started,
                attributes={"db.system.name": system, "db.query.text": without_values(said)},
            )
            if failed:
                current.set_status(trace.Status(trace.StatusCode.ERROR, failed))
            current.end(ended)


def _api() -> Any:
    """OpenTelemetry's API, if anybody has loaded it. Airflow has in every process of its own."""
    return sys.modules.get("opentelemetry.trace")
