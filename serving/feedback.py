"""What callers say about answers: a rating, or that nothing is to be kept of one."""

from typing import Annotated, Literal

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from serving.answers import ERRORS
from serving.callers import caller_of
from serving.errors import RequestError
from serving.metrics import SPEECH_PATH
from serving.parts import Parts
from serving.request_id import is_sane
from serving.storage.asking import in_store

MAX_COMMENT_CHARACTERS = 2000
_ANSWER = f"{SPEECH_PATH}/{{request_id}}"


class Rating(BaseModel):
    """What a caller thinks of an answer."""

    model_config = ConfigDict(strict=True, json_schema_extra={"examples": [{"rating": "up"}]})

    rating: Literal["up", "down"]
    comment: Annotated[str | None, Field(max_length=MAX_COMMENT_CHARACTERS)] = None


def install(app: FastAPI, parts: Parts) -> None:
    """Has `app` take ratings and deletions; without records it says that there are none."""
    records = parts.records

    @app.post(f"{_ANSWER}/rating", status_code=204, responses=ERRORS, response_class=Response)
    async def rate(request_id: str, body: Rating, request: Request) -> Response:
        """Rates an answer by its `x-request-id`; the last rating counts."""
        if records is None:
            raise _no_records("no rating can be kept")
        given = body.model_dump(exclude_none=True)
        caller = caller_of(request.scope) or ""
        known = is_sane(request_id) and await in_store(lambda: records.rate(caller, request_id, given))
        if not known:
            raise RequestError(
                f"No answer {request_id!r} of yours is kept here; the id of one is in its header "
                "x-request-id.",
                status=404,
                param="request_id",
                code="not_found",
            )
        return Response(status_code=204)

    @app.delete(_ANSWER, status_code=204, responses=ERRORS, response_class=Response)
    async def forget(request_id: str, request: Request) -> Response:
        """Deletes the text, the audio and the rating of an answer by its `x-request-id`, where anything of it
        is kept."""
        if records is None and parts.outputs is not None:
            raise _no_records("nobody can tell which audio is that answer's")
        caller = caller_of(request.scope) or ""
        if records is not None and is_sane(request_id):
            await in_store(lambda: records.forget(caller, request_id))
        return Response(status_code=204)


def _no_records(why: str) -> RequestError:
    return RequestError(f"This server keeps no records, so {why}.", status=409, code="records_disabled")
