"""What the kernel still holds of answers that the server has handed over to it.

A slow reader leaves megabytes there. They would be lost with the pod's network, which goes when its process
ends: so the process stays until they are delivered."""

import struct
import time
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
STALLED_SECONDS = 60.0
"""Without any progress for so long, the other side is taken to be gone. A paused reader takes nothing for a
while: one at the speed of speech asks for more of a full buffer every few seconds."""

_LOOK_SECONDS = 0.05
_LISTENING = "0A"


def wait_until_delivered(address: str, port: int) -> None:
    """Returns when every connection that came to `address` and `port` has delivered what it was given."""
    least, since = float("inf"), time.monotonic()
    while left := undelivered(address, port):
        if left < least:
            least, since = left, time.monotonic()
        elif time.monotonic() - since > STALLED_SECONDS:
            return
        time.sleep(_LOOK_SECONDS)


def undelivered(address: str, port: int, *, tables: Sequence[Path] = TABLES) -> int:
    """Bytes that the connections to `address` (0.0.0.0 or :: for all) and `port` have not delivered; 0 where
    the kernel does not tell."""
    wanted = None if ip_address(address).is_unspecified else _as_in_table(address)
    total = 0
    for table in tables:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, queues, *_ = line.split()
            host, _, number = local.partition(":")
            if int(number, 16) == port and state != _LISTENING and wanted in (None, host):
                total += int(queues.partition(":")[0], 16)
    return total


def _as_in_table(address: str) -> str:
    """An address as the kernel prints it: words of 32 bits in the machine's own order of bytes."""
    packed = ip_address(address).packed
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words)
