"""Spans of OpenTelemetry below those that Airflow makes of a run and its tasks: of stages, and of slow statements.

Belongs here: what is a span, and what it may say. Does not: where spans go, which Airflow decides
(``AIRFLOW__TRACES__OTEL_ON``), or figures (``pipeline.metrics``).
"""
