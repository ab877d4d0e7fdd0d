"""All that a server needs for voices from recordings."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import anyio.to_thread

from serving.engines.base import Engine, Reference
from serving.errors import RequestError
from serving.metrics import READ_VOICES
from serving.speech import ONCE, RecordingOnce, Speech, cloning_of
from serving.storage.asking import in_store
from serving.voices.decoding import Decoder
from serving.voices.library import Library
from serving.voices.recordings import bytes_of, read, require_consent, require_words
from serving.voices.references import KEPT_RATE, References
from serving.voices.voice import is_id

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Voices that are kept: at most `per_key` of each API key. `failed` is told what the store did not carry
    out, one of `metrics.VOICE_OPERATIONS`."""

    library: Library
    references: References
    per_key: int
    failed: Callable[[str], None]

    async def ask(self, operation: str, work: Callable[[], T]) -> T:
        """Does what waits for the store. Raises RequestError (503) where it is away."""
        return await in_store(work, failed=lambda: self.failed(operation))


@dataclass(frozen=True, kw_only=True)
class Voices:
    """`kept` is None where the server keeps none; a recording can come with its request all the same."""

    kept: Kept | None = None
    decoder: Decoder = field(default_factory=Decoder)

    async def resolved(
        self, speech: Speech, once: RecordingOnce | None, *, owner: str, model: str, engine: Engine
    ) -> Speech:
        """The speech with the recording in whose voice it is to be. Raises RequestError."""
        name = speech.utterance.voice
        if name in engine.voices and once is None:
            return speech
        if once is not None:
            reference = await self._once(once, model=model, engine=engine)
        else:
            reference = await self._stored(name, owner=owner, model=model, engine=engine)
        return replace(speech, utterance=replace(speech.utterance, reference=reference))

    def spoken(self, speech: Speech, engine: Engine) -> None:
        """The answer is over: what was derived of a recording that came with its request is forgotten."""
        reference = speech.utterance.reference
        if reference is None or speech.utterance.voice != ONCE:
            return
        if self.kept is None or not self.kept.references.uses(reference.digest):
            engine.forget(reference.digest)

    async def _once(self, once: RecordingOnce, *, model: str, engine: Engine) -> Reference:
        cloning = cloning_of(engine, model, param="reference")
        require_consent(given=once.consent, param="reference")
        require_words(cloning, once.transcript, param="reference")
        recording = await read(self.decoder, bytes_of(once.audio), cloning, param="reference")
        return await anyio.to_thread.run_sync(
            lambda: Reference.of(recording.samples, sample_rate=KEPT_RATE, transcript=once.transcript)
        )

    async def _stored(self, voice_id: str, *, owner: str, model: str, engine: Engine) -> Reference:
        cloning = cloning_of(engine, model, param="voice")
        kept = self.kept
        found = None
        if kept is not None and is_id(voice_id):
            found = await kept.ask(READ_VOICES, lambda: kept.references.find(owner, voice_id))
        if found is None:
            raise unknown(voice_id)
        voice, reference = found
        shortest, longest = cloning.seconds
        if not shortest <= voice.seconds <= longest:
            raise RequestError(
                f"The recording of the voice {voice_id} has {voice.seconds:.1f} s, and this model takes "
                f"{shortest:g} to {longest:g} s; add another one.",
                param="voice",
            )
        require_words(cloning, voice.transcript, param="voice")
        return reference


def unknown(voice_id: str) -> RequestError:
    """The answer to whoever names a voice that is not there, or another's: both are the same to it."""
    return RequestError(
        f"You have no voice {voice_id!r} here; GET /v1/voices lists those that you can use.",
        status=404,
        param="voice",
        code="voice_not_found",
    )
