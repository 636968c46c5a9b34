"""A proxy before an HTTP server that answers some requests with an error, or breaks off in the middle of them.

It is a process of its own, ``python -m tests.faulty_proxy URL``: Delta keeps Python's lock while it reads a log, so a
thread of the process that asks would never answer it.
"""

from __future__ import annotations

import http.client
import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import urlsplit

import httpx

from include.settings import ROOT

_COUNTED: Final = "/faults"  # no bucket


class Fault(Enum):
    """What happens to a request."""

    OVERLOADED = 503
    BROKEN = 500
    CUT = "cut"  # half of it arrives, or half of the answer leaves, and the connection is closed
    LOST = "lost"  # it is done, and nobody hears of it


PERIODS: Final = {53: Fault.OVERLOADED, 59: Fault.BROKEN, 211: Fault.CUT, 307: Fault.LOST}  # one in so many requests


@contextmanager
def before(endpoint: str) -> Iterator[str]:
    """Run one before a server; gives its URL."""
    command = [sys.executable, "-m", "tests.faulty_proxy", endpoint]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def faults(proxy: str) -> Counter[tuple[str, Fault]]:
    """How many there were so far, by method and kind."""
    found = httpx.get(f"{proxy}{_COUNTED}", trust_env=False).json()
    return Counter({(method, Fault[kind]): count for method, kind, count in found})


class _Server(ThreadingHTTPServer):
    def __init__(self, target: str) -> None:
        self.target, self.numbers = target, itertools.count(1)
        self.faults: Counter[tuple[str, Fault]] = Counter()
        super().__init__(("127.0.0.1", 0), _Handler)

    def fault(self, method: str) -> Fault | None:
        """What happens to the next request."""
        number = next(self.numbers)
        found = next((PERIODS[period] for period in PERIODS if number % period == 0), None)
        if found:
            self.faults[method, found] += 1
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        with suppress(ConnectionError):
            super().handle_one_request()

    def answer(self) -> None:
        if self.path == _COUNTED:
            found = [(method, kind.name, count) for (method, kind), count in self.server.faults.items()]
            self.reply(200, json.dumps(found).encode())
            return
        fault = self.server.fault(self.command)
        length = int(self.headers.get("Content-Length") or 0)
        is_cut_here = fault is Fault.CUT and length > 0
        body = self.rfile.read(length // 2 if is_cut_here else length)
        if is_cut_here:
            self.close_connection = True
        elif fault in (Fault.OVERLOADED, Fault.BROKEN):
            self.reply(int(fault.value), b"")
        else:
            self.pass_on(body, fault)

    def reply(self, status: int, content: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

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


if __name__ == "__main__":
    with _Server(urlsplit(sys.argv[1]).netloc) as proxy:
        print(f"http://127.0.0.1:{proxy.server_address[1]}", flush=True)  # noqa: T201
        proxy.serve_forever()
