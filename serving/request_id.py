"""The id of a request: what a gateway or a caller gave it, or one that the server makes."""

import re
import uuid

from starlette.datastructures import Headers
from starlette.types import Scope

HEADER = "x-request-id"
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEPT = "tts.request_id"


def request_id_of(scope: Scope) -> str:
    """The same one each time it is asked for; a header that is no sane token is not taken up."""
    found: str | None = scope.get(_KEPT)
    if found is None:
        given = Headers(scope=scope).get(HEADER, "")
        found = scope[_KEPT] = given if is_sane(given) else str(uuid.uuid4())
    return found


def is_sane(text: str) -> bool:
    """Whether a text can be an id."""
    return _SANE.fullmatch(text) is not None
