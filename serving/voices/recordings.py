"""From what a caller has sent to a reference that an engine can use."""

import base64
import binascii

from serving.bodies import TEXT, BodyLimit
from serving.engines.base import Cloning
from serving.errors import RequestError
from serving.speech import MAX_REFERENCE_BYTES
from serving.voices.decoding import Decoder, Recording
from serving.voices.references import KEPT_RATE
from serving.voices.unpack import UnreadableError

WITH_RECORDING = BodyLimit(
    TEXT.size + -(-MAX_REFERENCE_BYTES // 3) * 4,
    "send the text in several requests, and a recording as flac or mp3, or add it as a voice "
    "(POST /v1/voices)",
)
"""A speech request that brings its recording along."""

MOST_SECONDS = 30.0
"""Of any recording, whatever an engine could take."""


async def read(decoder: Decoder, content: bytes, cloning: Cloning, *, param: str) -> Recording:
    """Reads a recording at KEPT_RATE, for an engine that asks this of one. Raises RequestError, about
    `param`."""
    shortest, longest = cloning.seconds
    try:
        return await decoder.read(content, rate=KEPT_RATE, seconds=(shortest, min(longest, MOST_SECONDS)))
    except UnreadableError as error:
        raise RequestError(str(error), param=param, code="unusable_recording") from error


def bytes_of(audio: str) -> bytes:
    """The file in a field `reference.audio`. Raises RequestError."""
    try:
        content = base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(
            "The field `reference.audio` is not base64; send the file itself in base64, no address of it and "
            "no `data:` before it.",
            param="reference",
        ) from None
    if len(content) > MAX_REFERENCE_BYTES:
        raise RequestError(
            f"The recording in the field `reference.audio` has {len(content)} bytes, and at most "
            f"{MAX_REFERENCE_BYTES} are accepted; send a shorter one, in mono, or as flac or mp3.",
            param="reference",
        )
    return content


def require_words(cloning: Cloning, transcript: str, *, param: str) -> None:
    """Raises RequestError where the engine needs to know what is said in a recording and is not told."""
    if cloning.transcript and not transcript.strip():
        raise RequestError(
            "This model needs the words that are spoken in the recording; give them as `transcript`.",
            param=param,
        )


def require_consent(*, given: bool, param: str) -> None:
    """Raises RequestError where nobody says that the voice may be used."""
    if not given:
        raise RequestError(
            "The person whose voice this is must have agreed; say so by `consent`: true (what it says is in "
            "GET /v1/voices).",
            param=param,
            code="consent_missing",
        )
