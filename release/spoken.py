"""What a gate has listened to, and where a person can hear it: a server keeps it under its sha256, where the
stack has a store for answers."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .answer import Sample

_KEPT = "x-tts-output"
"""Of an answer whose server says that it keeps it."""


@dataclass(frozen=True)
class Spoken:
    """One answer that was judged, as the receipt has it: `sha256` of its `bytes`, exactly as they were
    streamed. `kept`: its server said that it keeps them."""

    pod: str
    text: str
    bytes: int
    sha256: str
    kept: bool


def spoken(pod: str, sample: Sample, *, asked: bool) -> Spoken:
    """What a pod spoke. `asked`: whether it was asked to keep it."""
    body = sample.speech.body
    return Spoken(
        pod=pod,
        text=sample.text,
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        kept=asked and bool(sample.speech.headers.get(_KEPT)),
    )


def where_to_hear(store: str, heard: Sequence[Spoken], *, wrong: Collection[str] = ()) -> str:
    """A sentence that leads a person to the audio; empty where the stack has no `store`, or nobody spoke.
    Of the texts that sounded `wrong` the first is led to by its file."""
    if not store or not heard:
        return ""
    kept = {each.sha256: each for each in heard if each.kept}
    if not kept:
        return (
            f"What was judged cannot be heard again: no server said that it keeps it in {store}; "
            "see the servers' logs, or what the stack's tts:store leads to."
        )
    worst = next((each for each in kept.values() if each.text in wrong), None)
    if worst is None:
        files = f"{len(kept)} file{'' if len(kept) == 1 else 's'}"
        return f"What was judged can be heard: {files} in {store}, named in the receipt's audio by sha256."
    others = len(kept) - 1
    more = f", and {others} more beside it, named in the receipt's audio by sha256" if others else ""
    return f"What was judged can be heard: {store}/{worst.sha256}.wav should say {worst.text!r}{more}."
