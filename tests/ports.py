"""Ports for servers that tests start."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """A free port of loopback, below those that the system gives to outgoing connections: these come and go
    by the thousand in a test run, and one of them may take the port while a server is started again."""
    while True:
        port = random.randint(15_000, 31_999)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
