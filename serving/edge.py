"""The outermost layer: every answer says which version gave it to which request, and a server that ends says
so too."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import request_id
from serving.bodies import Bodies


class Activity:
    """What is under way, and whether the server is draining. Times in seconds of the monotonic clock."""

    # Requests may still be on their way while the cluster learns that this pod ends.
    QUIET_SECONDS = 0.2
    # A pod that still gets new requests after this long stops accepting and finishes those under way.
    ACCEPT_SECONDS = 10.0

    def __init__(self) -> None:
        self.in_flight = 0
        self._draining_since: float | None = None

    @property
    def draining(self) -> bool:
        """True from the signal to end on."""
        return self._draining_since is not None

    def drain(self, now: float) -> None:
        """The signal to end came; the first one counts."""
        if self._draining_since is None:
            self._draining_since = now

    def settled(self, now: float) -> bool:
        """Whether the server may stop accepting: nothing is under way, or requests never cease."""
        if self._draining_since is None:
            return False
        waited = now - self._draining_since
        return waited >= self.ACCEPT_SECONDS or (self.in_flight == 0 and waited >= self.QUIET_SECONDS)


class Edge:
    """ASGI middleware: headers of every answer, the count of what is under way, the limit of a body."""

    def __init__(self, app: ASGIApp, activity: Activity, headers: dict[str, str], bodies: Bodies) -> None:
        self._app = app
        self._activity = activity
        self._bodies = bodies
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        own = [*self._headers, (request_id.HEADER.encode(), request_id.request_id_of(scope).encode())]

        body = self._bodies.begin(scope)

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                body.done()  # who answers has read it
                closing = [(b"connection", b"close")] if self._activity.draining else []
                message = {**message, "headers": [*message.get("headers", []), *own, *closing]}
            await send(message)

        self._activity.in_flight += 1
        try:
            await self._app(scope, body.limited(receive), stamped)
        finally:
            body.done()
            self._activity.in_flight -= 1
