"""A voice that a caller has added: what is kept about its recording."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from serving.voices.checks import Finding

STATEMENT = (
    "The person who speaks in this recording has agreed that it is kept and that speech is made in this "
    "voice, or I am that person."
)
"""What whoever adds a voice says by its consent; what was said is kept with each voice."""

_ID = re.compile(r"voice_[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Consent:
    """Who (the name of an API key, empty where none is asked for) has said what, when, in which request."""

    statement: str
    by: str
    time: datetime
    request_id: str


@dataclass(frozen=True, kw_only=True)
class Voice:
    """`seconds`, `container`, `sample_rate` (hertz) and `channels` are those of the recording as it was sent;
    `sha256` is that of what is kept of it."""

    id: str
    name: str
    created: datetime
    transcript: str
    seconds: float
    container: str
    sample_rate: int
    channels: int
    sha256: str
    warnings: tuple[Finding, ...]
    consent: Consent


def new_id() -> str:
    """An id that nobody can guess; whoever may use a voice is asked for its key all the same."""
    return f"voice_{uuid.uuid4().hex}"


def is_id(text: str) -> bool:
    """Whether a text has the form of an id. Nothing else becomes a part of a key in the store."""
    return _ID.fullmatch(text) is not None


def as_json(voice: Voice) -> bytes:
    """One JSON object."""
    fields = asdict(voice)
    fields["created"] = voice.created.isoformat(timespec="milliseconds")
    fields["consent"]["time"] = voice.consent.time.isoformat(timespec="milliseconds")
    return (json.dumps(fields, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")


def from_json(content: bytes) -> Voice:
    """The voice of `as_json`. Raises ValueError for what is none."""
    try:
        fields: Mapping[str, Any] = json.loads(content)
        consent = Consent(**{**fields["consent"], "time": datetime.fromisoformat(fields["consent"]["time"])})
        rest = {
            "created": datetime.fromisoformat(fields["created"]),
            "warnings": tuple(Finding(**each) for each in fields["warnings"]),
            "consent": consent,
        }
        return Voice(**{**fields, **rest})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no voice: {error!r}") from error
