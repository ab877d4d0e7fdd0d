"""The description of the API, at /openapi.json."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.callers import OPEN_PATHS

_ABOUT = (
    "Text to speech as OpenAI's API has it, with streamed audio. Every answer says by `x-tts-version` and "
    "`x-tts-revision` who gave it, and by `x-request-id` to which request; the header `x-tts-version` of a "
    "request asks for one version. Every error has OpenAI's shape."
)
_KEY = {"apiKey": {"type": "http", "scheme": "bearer"}}


def describe(app: FastAPI, *, keyed: bool) -> None:
    """Has `app` describe itself; `keyed`: whether it wants an API key."""
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(
                get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
            )
            if keyed:
                _lock(made)
        return made

    app.openapi = openapi  # type: ignore[method-assign]


def _lock(document: dict[str, Any]) -> None:
    document.setdefault("components", {})["securitySchemes"] = _KEY
    for path, operations in document["paths"].items():
        for operation in operations.values() if path not in OPEN_PATHS else ():
            operation["security"] = [{"apiKey": []}]
