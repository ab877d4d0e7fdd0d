"""Requests that wait for the store, unlike answers, which are kept beside the answering."""

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread

from serving.errors import RequestError, StorageError

T = TypeVar("T")


async def in_store(work: Callable[[], T], *, failed: Callable[[], None] | None = None) -> T:
    """Does what waits for the store. Raises RequestError (503) where the store is away, after it has told
    `failed`."""
    try:
        return await anyio.to_thread.run_sync(work)
    except StorageError as error:
        if failed is not None:
            failed()
        raise RequestError(
            "The store does not answer; try again in a moment.",
            status=503,
            code="store_unavailable",
            headers={"retry-after": "5"},
        ) from error
