"""How many requests a server takes on: what its inference config says, and what it does by itself."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

_STREAMS_PER_SLOT = 8  # a stream holds a slot for one chunk at a time, and none while its listener is behind
_QUEUED_PER_SLOT = 32  # a burst of short texts is over in a second; how long each waits has its own bound
_WAIT_SECONDS = 10.0
_LEAST = {"streams": 1, "queue": 0, "waitSeconds": 0, "perKey": 1}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """`streams` are answered at the same time, `queue` more wait, each at most `wait_seconds`; `per_key` of
    one caller may be under way or waiting, None for any number."""

    streams: int
    queue: int
    wait_seconds: float
    per_key: int | None = None


def limits_of(slots: int, fields: Mapping[str, object] | None = None) -> Limits:
    """The limits of a server with so many slots; `fields` of its inference config take the place of the
    usual ones. Raises TypeError or ValueError."""
    given = {key: _number(key, value) for key, value in (fields or {}).items()}
    per_key = given.get("perKey")
    return Limits(
        streams=int(given.get("streams", _STREAMS_PER_SLOT * slots)),
        queue=int(given.get("queue", _QUEUED_PER_SLOT * slots)),
        wait_seconds=given.get("waitSeconds", _WAIT_SECONDS),
        per_key=None if per_key is None else int(per_key),
    )


def _number(key: str, value: object) -> float:
    if key not in _LEAST:
        raise ValueError(f"admission has the key {key!r}, which is none of {', '.join(_LEAST)}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not _LEAST[key] <= value < math.inf:
        raise ValueError(f"admission.{key} is {value!r}, and a number from {_LEAST[key]} on is needed")
    return float(value)
