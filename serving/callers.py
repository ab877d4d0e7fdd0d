"""Who asks: the name of the API key that a request came with, where the server wants one."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.answers import error_response
from serving.keys import Keys

OPEN_PATHS = frozenset({"/", "/page/icon.svg", "/livez", "/readyz", "/version", "/openapi.json"})
"""What is answered without a key: the page, what Kubernetes and a release ask, what the API is."""

METRICS_PATH = "/metrics"
# A gateway marks what comes through it; Prometheus asks the pod itself.
_FROM_OUTSIDE = ("x-forwarded-for", "x-forwarded-proto", "forwarded", "x-envoy-external-address")
_CALLER = "tts.caller"


class Callers:
    """ASGI middleware: knows each request's caller. It refuses nobody, so that who is refused is counted."""

    def __init__(self, app: ASGIApp, keys: Keys | None) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._keys is not None:
            scope[_CALLER] = self._keys.caller(Headers(scope=scope).get("authorization"))
        await self._app(scope, receive, send)


class Locked:
    """ASGI middleware: answers 401 to whom `Callers` does not know, but for what everybody may ask."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and caller_of(scope) is None and not _is_open(scope):
            await _refusal(scope)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def caller_of(scope: Scope) -> str | None:
    """The name of the request's key, empty where the server wants none, None for a key that is not known."""
    name: str | None = scope.get(_CALLER, "")
    return name


def asks_the_pod(scope: Scope) -> bool:
    """Whether the request came to the pod itself, not through a gateway."""
    headers = Headers(scope=scope)
    return not any(name in headers for name in _FROM_OUTSIDE)


def _is_open(scope: Scope) -> bool:
    if scope["path"] == METRICS_PATH:
        return asks_the_pod(scope)
    return scope["path"] in OPEN_PATHS


def _refusal(scope: Scope) -> ASGIApp:
    given = "authorization" in Headers(scope=scope)
    message = (
        "The API key is not known here. Check it, or ask whoever runs this server for a new one."
        if given
        else "An API key is needed: send it as `Authorization: Bearer <key>`."
    )
    headers = {"www-authenticate": 'Bearer realm="tts"'}
    return error_response(401, message, code="invalid_api_key", headers=headers)
