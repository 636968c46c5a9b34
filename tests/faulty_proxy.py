"""A proxy before an HTTP server that answers some requests with an error, or breaks off in the middle of them."""

from __future__ import annotations

import http.client
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Fault(Enum):
    """What happens to a request."""

    OVERLOADED = 503
    BROKEN = 500
    CUT = "cut"  # half of it arrives, or half of the answer leaves, and the connection is closed
    LOST = "lost"  # it is done, and nobody hears of it


@dataclass
class Proxy:
    """A proxy that runs.

    Attributes:
        endpoint: its URL.
        faults: which fault befalls a request, of which it is told number, method and path; None for none.
        befallen: how many of each kind there were.
    """

    endpoint: str = ""
    faults: Callable[[int, str, str], Fault | None] = lambda *_: None
    befallen: Counter[tuple[str, Fault]] = field(default_factory=Counter)


@contextmanager
def before(endpoint: str) -> Iterator[Proxy]:
    """A proxy before a server, which passes everything on until it is told of faults."""
    proxy = Proxy()
    server = _Server(proxy, urlsplit(endpoint).netloc)
    proxy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def __init__(self, proxy: Proxy, target: str) -> None:
        self.proxy, self.target, self.numbers = proxy, target, itertools.count()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        with suppress(ConnectionError):
            super().handle_one_request()

    def answer(self) -> None:
        proxy = self.server.proxy
        fault = proxy.faults(next(self.server.numbers), self.command, self.path)
        if fault:
            proxy.befallen[self.command, fault] += 1
        length = int(self.headers.get("Content-Length") or 0)
        is_cut_here = fault is Fault.CUT and length > 0
        body = self.rfile.read(length // 2 if is_cut_here else length)
        if is_cut_here:
            self.close_connection = True
        elif fault in (Fault.OVERLOADED, Fault.BROKEN):
            self.send_response(int(fault.value))
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.pass_on(body, fault)

    def pass_on(self, body: bytes, fault: Fault | None) -> None:
        server = http.client.HTTPConnection(self.server.target, timeout=60)
        try:
            server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():  # the host too: it is part of what was signed
                server.putheader(name, value)
            server.endheaders(body)
            found = server.getresponse()
            content = found.read()
        finally:
            server.close()
        self.close_connection = fault is not None
        if fault is Fault.LOST:
            return
        self.send_response_only(found.status, found.reason)
        for name, value in found.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        size = found.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", size or "0")
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault is Fault.CUT else content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Be silent."""
