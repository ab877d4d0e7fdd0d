"""Voices as a model takes them: what it made of a recording, kept for the next text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from serving.engines.base import Cloning, Utterance
from serving.engines.on_torch.kept import Kept
from serving.engines.reference import Reference
from serving.errors import UnspeakableError

P = TypeVar("P")

_KEPT = 128  # some 400 KB each


class Voices(Generic[P]):
    """`own` are the voices that came with the model; `encode` makes of a recording what the model goes on
    from. Asked by one thread."""

    def __init__(
        self, own: Mapping[str, Reference], cloning: Cloning, encode: Callable[[Reference], P]
    ) -> None:
        self._own = own
        self._cloning = cloning
        self._encode = encode
        self._kept: Kept[P] = Kept(_KEPT)

    def prompt(self, utterance: Utterance) -> P | None:
        """What an utterance's voice is for the model; None where it is that of no recording.

        Raises UnspeakableError for a recording that the model does not take."""
        reference = utterance.reference or self._own.get(utterance.voice)
        if reference is None:
            return None
        self._check(reference, utterance.voice)
        return self._kept.get(reference.digest, lambda: self._encode(reference))

    def drop(self, digest: str) -> None:
        """Gives up what was made of the recording of this digest; from any thread."""
        self._kept.drop(digest)

    def clear(self) -> None:
        """Gives up all that can be made again."""
        self._kept.clear()

    def _check(self, reference: Reference, name: str) -> None:
        low, high = self._cloning.seconds
        if not low <= reference.seconds <= high:
            raise UnspeakableError(
                f"The recording of the voice {name!r} is {reference.seconds:.1f} s long, and this model "
                f"takes from {low:g} to {high:g} s.",
                param="voice",
            )
        if self._cloning.transcript and not reference.transcript:
            raise UnspeakableError(
                f"The voice {name!r} has no transcript, which this model needs: give the words that are "
                "spoken in its recording.",
                param="voice",
            )
