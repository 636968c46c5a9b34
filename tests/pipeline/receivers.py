"""What takes messages on this machine: a web server and a mail server, which can be taken away and come back."""

from __future__ import annotations

import json
import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

LOCAL = "127.0.0.1"


@dataclass
class Receiver:
    """A server of this machine.

    Attributes:
        port: where it listens.
        taken: the messages that it took, each the title and the body.
    """

    serve: Callable[[int, Receiver], socketserver.TCPServer]
    port: int = 0
    taken: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def up(self) -> Iterator[Receiver]:
        """Have it listen; it keeps its port when it comes back."""
        server = self.serve(self.port, self)
        self.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    @property
    def titles(self) -> list[str]:
        """The titles of what it took."""
        return [title for title, _ in self.taken]


def webhook() -> Receiver:
    """A web server that takes what Apprise's ``json://`` posts."""

    def serve(port: int, receiver: Receiver) -> socketserver.TCPServer:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.taken.append((posted["title"], posted["message"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Nothing."""

        HTTPServer.allow_reuse_address = True
        return HTTPServer((LOCAL, port), Handler)

    return Receiver(serve)


def mailbox() -> Receiver:
    """A mail server that takes what it is sent: as much of SMTP as a client needs that does not log in."""

    def serve(port: int, receiver: Receiver) -> socketserver.TCPServer:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 mailbox")
                while words := self.rfile.readline().split():
                    match words[0].upper():
                        case b"DATA":
                            self._say("354 go on")
                            receiver.taken.append(_read(self._until_the_dot()))
                            self._say("250 taken")
                        case b"QUIT":
                            self._say("221 bye")
                            return
                        case _:
                            self._say("250 mailbox")

            def _say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

            def _until_the_dot(self) -> bytes:
                lines: list[bytes] = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
                return b"".join(lines)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        return Server((LOCAL, port), Handler)

    return Receiver(serve)


def _read(mail: bytes) -> tuple[str, str]:
    found = message_from_bytes(mail, policy=policy.default)
    return str(found["Subject"]), str(found.get_content()) if found.get_content_type() == "text/plain" else ""
