"""A speech request, and what this server accepts of it."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field

from serving.engines.base import Engine
from serving.errors import RequestError

FORMATS = {"wav": "audio/wav", "pcm": "audio/pcm"}
MAX_CHARACTERS = 4096


class VoiceReference(BaseModel):
    """A voice named by its id, the other form of OpenAI's `voice` field."""

    id: str


class SpeechRequest(BaseModel):
    """OpenAI's fields, and `seed`, which makes the audio repeatable."""

    model: Annotated[str, Field(description="`tts`, the model's own name, or `tts-1`")]
    input: Annotated[str, Field(description=f"the text to speak, at most {MAX_CHARACTERS} characters")]
    voice: Annotated[
        str | VoiceReference | None, Field(description="a voice's name; the default voice where left out")
    ] = None
    instructions: Annotated[
        str | None, Field(description="accepted and without effect: the models here take none")
    ] = None
    response_format: Annotated[str | None, Field(description="`wav` (where left out) or `pcm`")] = None
    speed: Annotated[float | None, Field(description="1.0 is the model's own pace (where left out)")] = None
    stream_format: Annotated[str | None, Field(description="`audio` (where left out)")] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**63, description="same seed, same bytes")] = None


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """What to speak and how, everything checked but whether the engine can speak the text."""

    text: str
    voice: str
    speed: float
    seed: int | None
    format: str


def check(request: SpeechRequest, *, model: str, engine: Engine) -> Utterance:
    """The request as an utterance of `engine`, which serves `model`. Raises RequestError."""
    names = ("tts", model, "tts-1")
    if request.model not in names:
        raise RequestError(
            f"The model {request.model!r} is not served here; name it as one of: {', '.join(names)}.",
            status=404,
            param="model",
            code="model_not_found",
        )
    if request.stream_format not in (None, "audio"):
        raise RequestError(
            f"The stream format {request.stream_format!r} is not supported; leave it out or give audio.",
            param="stream_format",
        )
    return Utterance(
        text=_text(request.input),
        voice=_voice(request.voice, engine),
        speed=_speed(request.speed, engine),
        seed=request.seed,
        format=_format(request.response_format),
    )


def _text(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise RequestError(
            f"The field `input` has {len(text)} characters, and at most {MAX_CHARACTERS} are accepted; "
            "send the text in several requests.",
            param="input",
            code="string_above_max_length",
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise RequestError(
            "The field `input` is not valid Unicode: it holds half of a surrogate pair.", param="input"
        )
    if not text.strip():
        raise RequestError("The field `input` is empty; give the text to speak.", param="input")
    return text


def _voice(voice: str | VoiceReference | None, engine: Engine) -> str:
    name = voice.id if isinstance(voice, VoiceReference) else voice
    if name is None:
        return engine.voices[0]
    if name not in engine.voices:
        raise RequestError(
            f"The voice {name!r} is not here; there are: {', '.join(engine.voices)}.", param="voice"
        )
    return name


def _speed(speed: float | None, engine: Engine) -> float:
    lowest, highest = engine.speeds
    if speed is None:
        return 1.0
    if not lowest <= speed <= highest:
        raise RequestError(
            f"The speed {speed:g} is outside what this model can speak; give a number from {lowest:g} to "
            f"{highest:g}.",
            param="speed",
        )
    return speed


def _format(name: str | None) -> str:
    if name is None:
        return "wav"
    if name not in FORMATS:
        raise RequestError(
            f"The response format {name!r} is not supported; give one of: {', '.join(FORMATS)}.",
            param="response_format",
        )
    return name
