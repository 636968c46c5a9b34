"""A wire between a client and Postgres: it numbers every statement, and something can be made to happen at any of them.

The client's code is what it is in a real night. Nothing in it is replaced: it is only told another port.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO

from psycopg.conninfo import conninfo_to_dict, make_conninfo

# What a client sends first has no type; of these, only the start of a session is passed on.
_SSL, _GSS = 80877103, 80877104
# A statement alone, a prepared one, and the end of a COPY: each changes what the transaction holds.
_STATEMENTS = b"QEc"
# Postgres is done with what was sent, or waits for the rows of a COPY.
_ANSWERS = b"ZG"


@dataclass(frozen=True)
class Statement:
    """What a client sent.

    Attributes:
        session: the number of its connection.
        text: its SQL.
    """

    session: int
    text: str


@dataclass(frozen=True)
class Place:
    """Where something happens.

    Attributes:
        number: of the statement, from one.
        after: whether Postgres is done with it by then; the client never hears of it.
    """

    number: int
    after: bool


@dataclass
class Wire:
    """A port that leads to a server.

    Attributes:
        url: where a client finds it.
        place: where it strikes; None: nowhere.
        strike: what is done there, with the process id of the backend. The connection ends with it.
        statements: all that were sent, in order.
    """

    url: str
    place: Place | None
    strike: Callable[[int], None]
    statements: list[Statement] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reached(self, statement: Statement) -> int:
        """Note a statement; gives its number."""
        with self._lock:
            self.statements.append(statement)
            return len(self.statements)


@contextmanager
def wire(url: str, place: Place | None = None, strike: Callable[[int], None] = lambda _: None) -> Iterator[Wire]:
    """A wire to the server of a libpq URL, until the block ends.

    Args:
        url: the server, the database and the role.
        place: where it strikes.
        strike: what is done there.
    """
    given = conninfo_to_dict(url)
    server = (str(given["host"]), int(str(given["port"])))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        laid = Wire(make_conninfo(url, host="127.0.0.1", port=port), place, strike)
        sessions: list[_Session] = []

        def listen() -> None:
            with suppress(OSError):  # the listener is shut
                while True:
                    client, _ = listener.accept()
                    sessions.append(_Session(laid, len(sessions) + 1, client, server))

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield laid
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for session in sessions:
                session.end()


class _Session:
    """A connection of a client, and the one that it leads to."""

    def __init__(self, laid: Wire, number: int, client: socket.socket, server: tuple[str, int]) -> None:
        self._wire, self._number, self._client = laid, number, client
        self._server = socket.create_connection(server)
        for end in (self._client, self._server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._backend = 0
        self._is_due = False  # the statement was passed on whose answer is waited for
        self._prepared: dict[bytes, str] = {}
        self._bound = ""
        self._threads = [threading.Thread(target=self._ask), threading.Thread(target=self._answer)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Hang up and wait until both sides know."""
        self._hang_up()
        for thread in self._threads:
            thread.join()
        self._client.close()
        self._server.close()

    def _hang_up(self) -> None:
        for end in (self._client, self._server):
            with suppress(OSError):  # it has hung up itself
                end.shutdown(socket.SHUT_RDWR)

    def _ask(self) -> None:
        """Pass on what the client sends."""
        with suppress(OSError, EOFError), self._client.makefile("rb") as incoming:
            self._begin(incoming)
            while True:
                kind, content, message = _message(incoming)
                if text := self._statement(kind, content):
                    place, number = self._wire.place, self._wire.reached(Statement(self._number, text))
                    if place and place.number == number:
                        if not place.after:
                            self._wire.strike(self._backend)
                            break
                        self._is_due = True
                self._server.sendall(message)
        self._hang_up()

    def _answer(self) -> None:
        """Pass on what the server answers."""
        with suppress(OSError, EOFError), self._server.makefile("rb") as incoming:
            while True:
                kind, content, message = _message(incoming)
                if kind == b"K":
                    (self._backend,) = struct.unpack_from("!i", content)
                if self._is_due and kind in _ANSWERS:
                    self._wire.strike(self._backend)
                    break
                self._client.sendall(message)
        self._hang_up()

    def _begin(self, incoming: IO[bytes]) -> None:
        """Pass on the start of the session; it is not encrypted."""
        while True:
            length = _exactly(incoming, 4)
            content = _exactly(incoming, struct.unpack("!i", length)[0] - 4)
            if struct.unpack_from("!i", content)[0] not in (_SSL, _GSS):
                self._server.sendall(length + content)
                return
            self._client.sendall(b"N")

    def _statement(self, kind: bytes, content: bytes) -> str:
        """The SQL of a message that has something done; else nothing."""
        if kind == b"P":
            name, text, _ = content.split(b"\0", 2)
            self._prepared[name] = text.decode()
        if kind == b"B":
            _, name, _ = content.split(b"\0", 2)
            self._bound = self._prepared[name]
        if kind not in _STATEMENTS:
            return ""
        return {b"Q": content[:-1].decode(), b"E": self._bound, b"c": "end of COPY"}[kind]


def _message(incoming: IO[bytes]) -> tuple[bytes, bytes, bytes]:
    """The next message: its type, what it says, and all of it."""
    head = _exactly(incoming, 5)
    content = _exactly(incoming, struct.unpack("!i", head[1:])[0] - 4)
    return head[:1], content, head + content


def _exactly(incoming: IO[bytes], size: int) -> bytes:
    """So many bytes.

    Raises:
        EOFError: when there are no more.
    """
    found = incoming.read(size)
    if len(found) < size:
        raise EOFError
    return found
