"""A collector on this machine: it takes OTLP and events of OpenLineage over HTTP, and keeps what it was sent."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_UNPACK: dict[str | None, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


@dataclass
class Collector:
    """What it was sent so far.

    Attributes:
        url: what ``OTEL_EXPORTER_OTLP_ENDPOINT`` is to say.
        spans: every span.
        points: every value of a gauge: its name, its labels, itself.
        names: of every metric, whatever its kind.
        events: of lineage.
        raw: everything as it came.
    """

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    points: list[tuple[str, dict[str, Any], float]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def take(self, path: str, body: bytes) -> None:
        """Take one request."""
        self.raw.append(body)
        if path == "/v1/traces":
            for traced in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.spans += [span for scope in traced.scope_spans for span in scope.spans]
        if path == "/api/v1/lineage":
            self.events.append(json.loads(body))
        if path == "/v1/metrics":
            for measured in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (metric for scope in measured.scope_metrics for metric in scope.metrics):
                    self.names.add(metric.name)
                    self.points += [
                        (metric.name, attributes(point.attributes), point.as_double or point.as_int)
                        for point in metric.gauge.data_points
                    ]

    def children(self, parent: Span) -> list[Span]:
        """The spans below a span, in the order in which they began."""
        return sorted(
            (span for span in self.spans if span.parent_span_id == parent.span_id),
            key=lambda span: span.start_time_unix_nano,
        )


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    """A collector for the time of this block."""
    taken = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.take(self.path, _UNPACK.get(self.headers["Content-Encoding"], bytes)(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    taken.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def attributes(pairs: Any) -> dict[str, Any]:
    """What a span or a value says of itself."""
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> Any:
    kind = pair.value.WhichOneof("value")
    return getattr(pair.value, kind) if kind else None
