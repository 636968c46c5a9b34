"""Ports of this machine that are free."""

from __future__ import annotations

import socket
from contextlib import ExitStack

SEAWEEDFS_BESIDE = 10_000  # it listens on every port of its own and so many above it


def free_ports(count: int, beside: int = 0) -> list[int]:
    """Different ports that are free.

    Args:
        count: how many.
        beside: the port so many above each is free too.
    """
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            if port + beside < 65_536 and (not beside or _is_free(port + beside)):
                found.append(port)
    return found


def free_port(beside: int = 0) -> int:
    """One of them."""
    return free_ports(1, beside)[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
