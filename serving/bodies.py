"""How much of a request's body is read, and how much of all bodies together."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope


@dataclass(frozen=True)
class BodyLimit:
    """How many bytes a body may have, and what to do where it has more."""

    size: int
    advice: str


TEXT = BodyLimit(256 * 1024, "send the text in several requests")
"""Of a request without audio."""

LARGE_BYTES = 64 << 20
"""What all bodies under way may take together beyond `TEXT` each: recordings are large, and are in memory
until they are read."""


class Bodies:
    """Counts what comes. `limit_of` says how much a request may send."""

    def __init__(self, limit_of: Callable[[Scope], BodyLimit], *, large: int = LARGE_BYTES) -> None:
        self._limit_of, self._large = limit_of, large
        self._held = 0

    def begin(self, scope: Scope) -> "Body":
        """The body of a request that has just come."""
        return Body(self, self._limit_of(scope))

    def take(self, size: int) -> bool:
        """Whether there is room for so many bytes more; if so, they are taken."""
        fits = self._held + size <= self._large
        self._held += size if fits else 0
        return fits

    def give_back(self, size: int) -> None:
        """So many bytes are no longer held."""
        self._held -= size


class Body:
    """One request's body on its way."""

    def __init__(self, bodies: Bodies, limit: BodyLimit) -> None:
        self._bodies, self._limit = bodies, limit
        self._size = self._taken = 0

    def limited(self, receive: Receive) -> Receive:
        """`receive`, which raises HTTPException for what is too much."""

        async def limited() -> Message:
            message = await receive()
            self._size += len(message.get("body", b""))
            if self._size > self._limit.size:
                raise HTTPException(
                    413, f"The request's body is over {self._limit.size} bytes; {self._limit.advice}."
                )
            beyond = max(0, self._size - TEXT.size) - self._taken
            if beyond > 0 and not self._bodies.take(beyond):
                raise HTTPException(
                    429,
                    "The server holds as many recordings as it can; send this one again in a moment.",
                    {"retry-after": "2"},
                )
            self._taken += max(0, beyond)
            return message

        return limited

    def done(self) -> None:
        """It was read, and is held no more; without effect the second time."""
        self._bodies.give_back(self._taken)
        self._taken = 0
