"""A loopback address for each pod, out of a range that belongs to one home."""

from __future__ import annotations

import hashlib
from pathlib import Path

from local.node import procfs
from local.node.errors import NodeError


class Addresses:
    """Hands out 127.x.y.2 to 127.x.y.254; x and y follow from the home's path, so two homes do not meet."""

    def __init__(self, root: Path) -> None:
        digest = hashlib.sha256(str(root).encode()).digest()
        taken = {address.rpartition(".")[0] for address, _ in procfs.listeners()}
        choices = (f"127.{64 + digest[step] % 190}.{digest[step + 1]}" for step in range(0, 30, 2))
        free = next((prefix for prefix in choices if prefix not in taken), None)
        if free is None:
            raise NodeError(
                "No range of loopback addresses is free for pods; stop another embedded platform first."
            )
        self._prefix = free
        self._used: set[int] = set()
        self._next = 2

    def take(self) -> str:
        """A free address; addresses are used again as late as possible."""
        for step in range(253):
            number = 2 + (self._next - 2 + step) % 253
            if number not in self._used:
                self._used.add(number)
                self._next = number + 1
                return f"{self._prefix}.{number}"
        raise NodeError("All 253 pod addresses are in use; delete something first.")

    def give_back(self, address: str) -> None:
        self._used.discard(int(address.rpartition(".")[2]))
