"""Every error as OpenAI's API says it: {"error": {"message", "type", "param", "code"}}."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from serving.errors import ExhaustedError, RequestError, UnspeakableError

_log = logging.getLogger("serving.answers")


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """An error as OpenAI's API says it."""

    error: ErrorDetail


ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {"model": ErrorBody, "description": "An error; `message` says what to do."}
}
"""Of every route: how the API's description says what is answered otherwise."""


def error_response(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error answer; ASCII throughout, since a message may quote what is not valid Unicode."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Response(json.dumps(body), status, dict(headers or {}), "application/json")


def install(app: FastAPI) -> None:
    """Has `app` answer every error in this shape."""

    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> Response:
        return error_response(
            error.status, error.message, param=error.param, code=error.code, headers=error.headers
        )

    @app.exception_handler(UnspeakableError)
    async def unspeakable(_: Request, error: UnspeakableError) -> Response:
        return error_response(400, str(error), param=error.param, code="unspeakable_input")

    @app.exception_handler(ExhaustedError)
    async def exhausted(_: Request, error: ExhaustedError) -> Response:
        return error_response(503, str(error), code="out_of_memory", headers={"retry-after": "1"})

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        message, param = _explain(error)
        return error_response(400, message, param=param)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return error_response(error.status_code, _say(request, error), headers=error.headers)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, __: Exception) -> Response:
        return error_response(500, "The server failed to answer; its log holds the cause.")


def _explain(error: RequestValidationError) -> tuple[str, str | None]:
    """The first mistake as a sentence, and the field it is about."""
    first = error.errors()[0]
    kind, place = first["type"], [str(part) for part in first["loc"] if part != "body"]
    if kind == "json_invalid":
        reason = first.get("ctx", {}).get("error", "it cannot be parsed")
        return f"The request's body is not valid JSON: {reason}.", None
    if not place:
        return (
            "The request's body is not a JSON object; send one with the content type application/json.",
            None,
        )
    field = place[0]
    if kind == "missing":
        return f"The field `{'.'.join(place)}` is missing; give it in the request's JSON object.", field
    return f"The field `{field}` was not accepted: {first['msg']}.", field


def _say(request: Request, error: HTTPException) -> str:
    path = request.url.path
    if error.status_code == 404:
        return f"There is nothing at {path}; speech is made by POST /v1/audio/speech."
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another one")
        return f"The method {request.method} is not allowed at {path}; allowed: {allowed}."
    if error.status_code == 400:  # the framework's, for a body that is no text
        return "The request's body cannot be read; send a JSON object in UTF-8."
    return str(error.detail)
