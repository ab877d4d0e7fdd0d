"""A speech request, and what this server accepts of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from serving import events
from serving.encoding import FORMATS
from serving.engines.base import Cloning, Engine, Utterance
from serving.engines.lexicon import merged
from serving.errors import RequestError
from serving.voices.voice import STATEMENT, is_id

MAX_CHARACTERS = 4096
MAX_PRONUNCIATIONS = 100
MAX_WORD_CHARACTERS = 80
STREAM_FORMATS = ("audio", "sse")
MAX_REFERENCE_BYTES = 2 << 20
MAX_TRANSCRIPT_CHARACTERS = 1000
ONCE = "reference"
"""What the voice of a recording is called that came with its request."""
EXAMPLES: list[JsonValue] = [
    {"model": "tts", "input": "Good morning.", "response_format": "mp3"},
    {
        "model": "tts-1",
        "input": "The harbour was quiet, and nginx was not.",
        "response_format": "wav",
        "speed": 1.1,
        "seed": 7,
        "phonemes": {"nginx": "ˈɛndʒɪn ˈɛks"},
    },
    {"model": "tts", "input": "Heard as it is made.", "response_format": "pcm", "stream_format": "sse"},
]
"""Requests that every server answers whose model takes pronunciations."""


class VoiceReference(BaseModel):
    """A voice named by its id, the other form of OpenAI's `voice` field."""

    model_config = ConfigDict(strict=True)

    id: str


class RecordingOnce(BaseModel):
    """A recording in whose voice one text is spoken; it is not kept."""

    model_config = ConfigDict(strict=True)

    audio: Annotated[
        str,
        Field(
            max_length=-(-MAX_REFERENCE_BYTES // 3) * 4,
            description="the file itself (wav, mp3, flac or m4a) in base64, at most "
            f"{MAX_REFERENCE_BYTES} bytes; never an address",
        ),
    ]
    consent: Annotated[bool, Field(description=f"true, which is needed, says: {STATEMENT}")] = False
    transcript: Annotated[
        str,
        Field(
            max_length=MAX_TRANSCRIPT_CHARACTERS,
            description="the words that are spoken in it, where the model needs them",
        ),
    ] = ""


class SpeechRequest(BaseModel):
    """OpenAI's fields, and three of ours: `seed` makes audio repeatable, `phonemes` says how words sound,
    `reference` brings a voice along."""

    model_config = ConfigDict(strict=True, json_schema_extra={"examples": EXAMPLES})

    model: Annotated[str, Field(description="`tts`, the model's own name, or `tts-1`")]
    input: Annotated[str, Field(description=f"the text to speak, at most {MAX_CHARACTERS} characters")]
    voice: Annotated[
        str | VoiceReference | None,
        Field(description="a voice's name or id (GET /v1/voices); the default voice where left out"),
    ] = None
    reference: Annotated[
        RecordingOnce | None,
        Field(description="in place of `voice`, where the model takes voices from recordings"),
    ] = None
    instructions: Annotated[
        str | None,
        Field(
            description="how to speak; without effect, as with OpenAI's `tts-1`, where the model takes none: "
            "the answer's header `x-tts-ignored` says so"
        ),
    ] = None
    response_format: Annotated[
        str | None, Field(description=f"{', '.join(f'`{name}`' for name in FORMATS)}; `wav` where left out")
    ] = None
    speed: Annotated[
        float | None,
        Field(
            description="1.0 is the model's own pace (where left out); of OpenAI's 0.25 to 4 a model speaks "
            "well in a part (hibari from 0.5 to 2), and what is outside is refused"
        ),
    ] = None
    stream_format: Annotated[
        str | None, Field(description="`audio` (where left out), or `sse`: events with the audio in base64")
    ] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**63, description="same seed, same bytes")] = None
    phonemes: Annotated[
        dict[str, str] | None,
        Field(
            description="how words are spoken, in the alphabet that the model names: the International "
            'Phonetic Alphabet, such as `{"nginx": "ˌɛndʒɪnˈɛks"}` (a word in small letters in any case, one '
            'with a capital as written), or pinyin, such as `{"重庆": "chong2 qing4"}`'
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Speech:
    """What to speak and how to answer, everything checked but whether the engine can speak the text."""

    utterance: Utterance
    format: str
    events: bool
    """Whether the audio is wrapped in server-sent events."""
    ignored: tuple[str, ...]
    """Fields that were given and have no effect."""

    @property
    def media_type(self) -> str:
        """Of the answer."""
        return events.MEDIA_TYPE if self.events else FORMATS[self.format].media_type


def check(
    request: SpeechRequest, *, model: str, engine: Engine, lexicon: Mapping[str, str] | None = None
) -> Speech:
    """The request as speech of `engine`, which serves `model`; its own pronunciations go before those of
    `lexicon`. Raises RequestError."""
    names = names_of(model)
    if request.model not in names:
        raise RequestError(
            f"The model {request.model!r} is not served here; name it as one of: {', '.join(names)}.",
            status=404,
            param="model",
            code="model_not_found",
        )
    emotion = engine.capabilities.emotion
    utterance = Utterance(
        text=_text(request.input),
        voice=_voice(request, model, engine),
        speed=_speed(request.speed, engine),
        seed=request.seed,
        phonemes=merged(lexicon or {}, _phonemes(request.phonemes, engine)),
        instructions=request.instructions if emotion else None,
    )
    return Speech(
        utterance=utterance,
        format=_one_of("response_format", request.response_format, tuple(FORMATS)),
        events=_one_of("stream_format", request.stream_format, STREAM_FORMATS) == "sse",
        ignored=("instructions",) if request.instructions and not emotion else (),
    )


def names_of(model: str) -> tuple[str, ...]:
    """What a request may call the model that is served."""
    return (model, "tts", "tts-1")


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


def _voice(request: SpeechRequest, model: str, engine: Engine) -> str:
    """The voice's name; that of a recording has still to be read, or to be looked up in the store."""
    voice = request.voice
    name = voice.id if isinstance(voice, VoiceReference) else voice
    if request.reference is not None:
        if name is not None:
            raise RequestError(
                "The fields `voice` and `reference` both name a voice; leave one of them out.",
                param="reference",
            )
        cloning_of(engine, model, param="reference")
        return ONCE
    if name is None and engine.voices:
        return engine.voices[0]
    if name is None:
        raise RequestError(
            "This model has no voice of its own; name one that was added (POST /v1/voices), or send a "
            "recording in the field `reference`.",
            param="voice",
        )
    if name in engine.voices:
        return name
    if is_id(name):
        cloning_of(engine, model, param="voice")
        return name
    raise RequestError(
        f"The voice {name!r} is not here; there are: {', '.join(engine.voices) or 'those that were added'}.",
        param="voice",
    )


def cloning_of(engine: Engine, model: str, *, param: str | None = None) -> Cloning:
    """What the model asks of a recording. Raises RequestError where it takes no voice from any."""
    if engine.capabilities.cloning is None:
        raise RequestError(
            f"The model {model} speaks in its own voices alone: it has not the capability `cloning`, by "
            "which a model takes a voice from a recording.",
            param=param,
            code="cloning_unsupported",
        )
    return engine.capabilities.cloning


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


def _phonemes(phonemes: Mapping[str, str] | None, engine: Engine) -> Mapping[str, str]:
    if not phonemes:
        return {}
    if engine.capabilities.phonemes is None:
        raise RequestError(
            "This model takes no pronunciations; leave out the field `phonemes`.", param="phonemes"
        )
    if len(phonemes) > MAX_PRONUNCIATIONS:
        raise RequestError(
            f"The field `phonemes` has {len(phonemes)} words, and at most {MAX_PRONUNCIATIONS} are accepted.",
            param="phonemes",
        )
    for word in phonemes:
        if not word.strip() or len(word) > MAX_WORD_CHARACTERS:
            raise RequestError(
                f"The field `phonemes` holds a word of {len(word)} characters, {word[:20]!r}; give one to "
                f"{MAX_WORD_CHARACTERS}.",
                param="phonemes",
            )
    return phonemes


def _one_of(field: str, value: str | None, names: tuple[str, ...]) -> str:
    """The value, or the first name where it was left out."""
    if value is None:
        return names[0]
    if value not in names:
        raise RequestError(
            f"The field `{field}` is {value!r}, which is not supported; give one of: {', '.join(names)}.",
            param=field,
        )
    return value
