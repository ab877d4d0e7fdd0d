"""What is made as fast as it can be, and kept until somebody takes it.

An engine that does one thing at a time must not wait for a client that reads slowly: everybody else would
wait with it. What is kept is encoded audio: 88 KB for a second as wav at 44.1 kHz, a tenth of that as mp3.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable

import anyio


async def ahead(make: Callable[[Callable[[bytes], None]], Awaitable[None]]) -> AsyncGenerator[bytes, None]:
    """Yields what `make` hands to its argument, in order, then raises what `make` raised.

    `make` runs in a task of its own, from the first time something is asked for. Closed early, this cancels
    it, and returns once it has ended.
    """
    send, receive = anyio.create_memory_object_stream[bytes](math.inf)
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope, send:
            await make(send.send_nowait)

    # No task group: this generator is taken from several tasks in turn, and a group belongs to one.
    task = asyncio.create_task(run())
    try:
        with receive:
            async for part in receive:
                yield part
        await task
    finally:
        scope.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen: whoever closes early is not told
