"""Audio as server-sent events, OpenAI's `stream_format: sse`."""

import base64
import json
import math
from dataclasses import dataclass
from typing import Any

MEDIA_TYPE = "text/event-stream"

_EVENT_BYTES = 24 * 1024  # of audio: some readers of events take lines of at most 64 KiB
_TOKEN_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a request took: the characters of its text, and the seconds of audio made of it."""

    characters: int
    audio_seconds: float

    def tokens(self) -> dict[str, int]:
        """In OpenAI's words. No model here counts tokens: a character stands for one, and 50 ms of audio."""
        out = math.ceil(self.audio_seconds / _TOKEN_SECONDS)
        return {"input_tokens": self.characters, "output_tokens": out, "total_tokens": self.characters + out}


def delta(part: bytes) -> bytes:
    """Encoded audio as one event, or as several where it is large."""
    slices = (part[at : at + _EVENT_BYTES] for at in range(0, len(part), _EVENT_BYTES))
    return b"".join(
        _event({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode("ascii")})
        for piece in slices
    )


def done(usage: Usage) -> bytes:
    """The last event: the audio before it is whole."""
    return _event({"type": "speech.audio.done", "usage": usage.tokens()})


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content, separators=(",", ":")).encode("ascii") + b"\n\n"
