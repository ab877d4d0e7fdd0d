"""What one speech request comes to: told to the metrics as it happens, and to the log when it ends."""

import logging
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.types import Scope

from serving.callers import caller_of
from serving.logs import fields
from serving.metrics import Metrics
from serving.origin import Origin, origin_of
from serving.records import Records
from serving.request_id import request_id_of
from serving.speech import Speech
from serving.storage.outputs import Recording

_ACCOUNT = "tts.account"
_log = logging.getLogger("serving.speech")


@dataclass(kw_only=True)
class Account:
    """A `synthesis.Listener`. Times in seconds; `code` is what the answer said. What is None is not known:
    a request may be refused before it is understood. `identity` is the model's, for the record."""

    metrics: Metrics
    origin: Origin
    caller: str
    request_id: str
    identity: Mapping[str, object] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    speech: Speech | None = None
    recording: Recording | None = None
    records: Records | None = None
    waited: float | None = None
    audio: float = 0.0
    worked: float = 0.0
    code: str = ""
    first_audio: float | None = None
    total: float = 0.0

    def busy(self) -> AbstractContextManager[None]:
        """See Listener.busy."""
        return self.metrics.slots.taken(self.origin)

    def let_in(self, waited: float) -> None:
        """See Listener.let_in."""
        self.waited = waited
        self.metrics.let_in(self.origin, waited)

    def made(self, seconds: float, part: bytes, *, worked: float) -> None:
        """See Listener.made."""
        self.audio += seconds
        self.worked += worked
        self.metrics.audio(self.origin, seconds)
        if self.recording is not None:
            self.recording.add(seconds, part)

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work for a second of audio."""
        return self.worked / self.audio if self.audio else None

    def ended(self, code: str, *, first_audio: float | None, with_text: bool) -> None:
        """The request is over. `with_text`: whether the log may hold what was spoken."""
        self.code, self.first_audio, self.total = code, first_audio, time.monotonic() - self.began
        self.metrics.ended(
            self.origin,
            code,
            first_audio=first_audio,
            total=self.total,
            real_time_factor=self.real_time_factor,
        )
        _log.info("speech", extra=fields(**self._told(with_text=with_text)))
        if self.records is not None and self.speech is not None and code == "200" and self.origin.recorded:
            self.records.keep(self.caller, self.request_id, self._record(self.speech))

    def _told(self, *, with_text: bool) -> dict[str, object]:
        speech = self.speech
        return {
            "request_id": self.request_id,
            "caller": self.caller or None,
            "origin": self.origin.value,
            "code": int(self.code),
            "queue_seconds": _rounded(self.waited),
            "first_audio_seconds": _rounded(self.first_audio),
            "seconds": _rounded(self.total),
            "audio_seconds": _rounded(self.audio),
            "real_time_factor": _rounded(self.real_time_factor),
            "characters": len(speech.utterance.text) if speech else None,
            "voice": speech.utterance.voice if speech else None,
            "format": speech.format if speech else None,
            "text": speech.utterance.text if speech and with_text else None,
        }

    def _record(self, speech: Speech) -> dict[str, object]:
        """What is kept for training of an answer that was taken whole."""
        spoken, recording = speech.utterance, self.recording
        return {
            "id": self.request_id,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "caller": self.caller or None,
            **self.identity,
            "voice": spoken.voice,
            "text": spoken.text,
            "phonemes": dict(spoken.phonemes),
            "instructions": spoken.instructions,
            "speed": spoken.speed,
            "seed": spoken.seed,
            "format": speech.format,
            "audio": recording.key if recording is not None and recording.kept else None,
            "audio_seconds": _rounded(self.audio),
            "queue_seconds": _rounded(self.waited),
            "first_audio_seconds": _rounded(self.first_audio),
            "seconds": _rounded(self.total),
            "real_time_factor": _rounded(self.real_time_factor),
        }


def begin(scope: Scope, metrics: Metrics, revision: str) -> Account:
    """The account of a request that has just come."""
    account = Account(
        metrics=metrics,
        origin=origin_of(scope, revision),
        caller=caller_of(scope) or "",
        request_id=request_id_of(scope),
    )
    scope[_ACCOUNT] = account
    metrics.began(account.origin)
    return account


def account_of(scope: Scope) -> Account:
    """The account of a speech request that is under way."""
    account: Account = scope[_ACCOUNT]
    return account


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
