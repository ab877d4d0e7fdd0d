"""One HTTP answer, and one synthesis with what the same pod says about itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from . import wav
from .errors import AudioError


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. `error` is set, and `status` 0, when none came. Header names are in lower case.
    `seconds` until the last byte, `first_audio` until the first one of audio, None without any."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    error: str = ""
    first_audio: float | None = None

    @property
    def revision(self) -> str:
        """The revision that the answer says it is from; empty where it says none."""
        return self.headers.get("x-tts-revision", "")

    @property
    def version(self) -> str:
        """The version that the answer says it is from; empty where it says none."""
        return self.headers.get("x-tts-version", "")


@dataclass(frozen=True)
class Sample:
    """A synthesis of `text` and the same pod's answer to GET /version."""

    text: str
    speech: Answer
    version: Answer

    @property
    def came(self) -> bool:
        """Whether there is something to judge."""
        return self.speech.status == 200 and bool(self.speech.body)

    @cached_property
    def audio(self) -> wav.Audio:
        """The decoded speech. Raises AudioError."""
        return wav.decode(self._body())

    @cached_property
    def said(self) -> str:
        """The answer of a model that does not speak. Raises AudioError."""
        body = self._body()
        if not body:
            raise AudioError("The answer was empty.")
        return body.decode("utf-8", "replace")

    def _body(self) -> bytes:
        if self.speech.error:
            raise AudioError(f"No answer came: {self.speech.error}.")
        if self.speech.status != 200:
            raise AudioError(f"The answer was {self.speech.status}: {excerpt(self.speech.body)}")
        return self.speech.body

    @cached_property
    def about(self) -> dict[str, Any]:
        """The body of GET /version; empty when it is not an object or did not come."""
        return json_object(self.version)


def json_object(answer: Answer) -> dict[str, Any]:
    """The JSON object of a 200, else an empty one."""
    if answer.status != 200:
        return {}
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def excerpt(body: bytes) -> str:
    """The start of a body, fit for a message."""
    return " ".join(body[:200].decode("utf-8", "replace").split()) or "(empty)"
