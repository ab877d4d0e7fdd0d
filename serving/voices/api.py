"""`/v1/voices`: the voices that a caller can use, those it adds and those it deletes."""

import logging
from datetime import UTC, datetime
from typing import Annotated, Literal

import anyio.to_thread
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from serving.answers import ERRORS
from serving.callers import caller_of
from serving.encoding import FORMATS
from serving.engines.base import Engine
from serving.errors import RequestError
from serving.logs import fields
from serving.metrics import ADD_VOICE, DELETE_VOICE, READ_VOICES
from serving.origin import origin_of
from serving.parts import Parts
from serving.request_id import request_id_of
from serving.speech import MAX_REFERENCE_BYTES, cloning_of
from serving.voices.decoding import Recording
from serving.voices.form import MAX_UPLOAD_BYTES, SCHEMA, NewVoice, read_form
from serving.voices.recordings import MOST_SECONDS, read, require_consent, require_words
from serving.voices.references import KEPT_RATE
from serving.voices.unpack import CONTAINERS
from serving.voices.voice import STATEMENT, Consent, Voice
from serving.voices.voices import Kept, unknown

PATH = "/v1/voices"
_log = logging.getLogger("serving.voices")


class VoiceWarning(BaseModel):
    """What may make a voice worse than it could be."""

    code: Literal["clipped", "noisy", "several_speakers"]
    message: str


class ListedVoice(BaseModel):
    """A voice of the model, or one that the caller has added (`own`)."""

    id: Annotated[str, Field(examples=["heart"])]
    object: Literal["voice"] = "voice"
    name: str
    languages: list[str]
    default: Annotated[bool, Field(description="whether it speaks where none is asked for")]
    own: bool
    created: Annotated[int | None, Field(description="seconds since 1970")] = None
    seconds: Annotated[float | None, Field(description="of the recording")] = None
    transcript: str | None = None
    warnings: list[VoiceWarning] | None = None


class Recordings(BaseModel):
    """Of which recordings the model takes a voice."""

    kept: Annotated[bool, Field(description="whether they can be added here (POST /v1/voices)")]
    per_key: Annotated[int | None, Field(description="how many voices a key may have")] = None
    seconds: Annotated[tuple[float, float], Field(description="how short and how long one may be")]
    transcript: Annotated[bool, Field(description="whether the words that are spoken in it are needed")]
    emotion: Annotated[bool, Field(description="whether how it is spoken is taken over")]
    formats: list[str]
    max_bytes: Annotated[int, Field(description="of one that is added")]
    max_bytes_once: Annotated[int, Field(description="of one that comes with a speech request")]
    consent: Annotated[str, Field(description="what `consent` says")]


class ListedVoices(BaseModel):
    """A list of voices. `recordings` is left out where the model takes no voice from any."""

    object: Literal["list"] = "list"
    data: list[ListedVoice]
    recordings: Recordings | None = None


def install(app: FastAPI, parts: Parts) -> None:
    """Has `app` list, add and delete voices."""
    kept, model = parts.voices.kept, parts.config.model

    @app.get(PATH, responses=ERRORS, response_model_exclude_none=True)
    async def voices(request: Request) -> ListedVoices:
        """The voices of the model, the default one first, and those that the caller has added."""
        engine, owner = parts.host.loaded(), caller_of(request.scope) or ""
        own: list[Voice] = []
        if kept is not None and engine.capabilities.cloning is not None:
            own = await kept.ask(READ_VOICES, lambda: kept.library.all_of(owner))
        languages = list(engine.capabilities.languages)
        return ListedVoices(
            data=[*_of_the_model(engine), *(_listed(voice, languages) for voice in own)],
            recordings=_recordings(engine, kept),
        )

    @app.post(
        PATH,
        status_code=201,
        responses=ERRORS,
        response_model_exclude_none=True,
        openapi_extra={"requestBody": SCHEMA},
    )
    async def add(request: Request) -> ListedVoice:
        """Adds a voice from a recording of one person who speaks."""
        engine, owner = parts.host.loaded(), caller_of(request.scope) or ""
        cloning = cloning_of(engine, model)
        here = _kept(kept)
        _refuse_copies(request, parts.config.revision)
        new = await read_form(request)
        require_consent(given=new.consent, param="consent")
        require_words(cloning, new.transcript, param="transcript")
        await _refuse_too_many(here, owner)
        recording = await read(parts.voices.decoder, new.audio, cloning, param="audio")
        voice = _voice(new, recording, by=owner, request_id=request_id_of(request.scope))
        added = await here.ask(ADD_VOICE, lambda: here.library.add(owner, voice, _encoded(recording)))
        _say("voice added", request, added.id)
        return _listed(added, list(engine.capabilities.languages))

    @app.delete(f"{PATH}/{{voice_id}}", status_code=204, responses=ERRORS, response_class=Response)
    async def delete(voice_id: str, request: Request) -> Response:
        """Deletes a voice that the caller has added, its recording, and what was derived of it."""
        here, owner = _kept(kept), caller_of(request.scope) or ""
        _refuse_copies(request, parts.config.revision)
        if not await here.ask(DELETE_VOICE, lambda: here.library.delete(owner, voice_id)):
            raise unknown(voice_id)
        await anyio.to_thread.run_sync(lambda: here.references.drop(owner, voice_id))
        _say("voice deleted", request, voice_id)
        return Response(status_code=204)


def _kept(kept: Kept | None) -> Kept:
    if kept is None:
        raise RequestError(
            "This server keeps no voices (its stack says no tts:voices); send the recording with each speech "
            "request, in the field `reference`.",
            status=409,
            code="voices_disabled",
        )
    return kept


def _refuse_copies(request: Request, revision: str) -> None:
    if not origin_of(request.scope, revision).recorded:
        raise RequestError(
            "A probe or a mirrored request changes nothing that is kept.", status=409, code="not_a_callers"
        )


async def _refuse_too_many(kept: Kept, owner: str) -> None:
    if await kept.ask(ADD_VOICE, lambda: kept.library.count(owner)) >= kept.per_key:
        raise RequestError(
            f"There are {kept.per_key} voices of yours already, which is as many as are kept; delete one.",
            status=409,
            code="too_many_voices",
        )


def _voice(new: NewVoice, recording: Recording, *, by: str, request_id: str) -> Voice:
    """What is to be kept; the library gives it its id."""
    consent = Consent(statement=STATEMENT, by=by, time=datetime.now(UTC), request_id=request_id)
    about = recording.about
    return Voice(
        id="",
        name=new.name,
        created=consent.time,
        transcript=new.transcript,
        seconds=round(about.seconds, 3),
        container=about.container,
        sample_rate=about.sample_rate,
        channels=about.channels,
        sha256="",
        warnings=recording.findings,
        consent=consent,
    )


def _encoded(recording: Recording) -> bytes:
    encoder = FORMATS["flac"].open(KEPT_RATE)
    try:
        return encoder.feed(recording.samples) + encoder.finish()
    finally:
        encoder.close()


def _of_the_model(engine: Engine) -> list[ListedVoice]:
    languages = list(engine.capabilities.languages)
    return [
        ListedVoice(id=name, name=name, languages=languages, default=name == engine.voices[0], own=False)
        for name in engine.voices
    ]


def _listed(voice: Voice, languages: list[str]) -> ListedVoice:
    return ListedVoice(
        id=voice.id,
        name=voice.name,
        languages=languages,
        default=False,
        own=True,
        created=int(voice.created.timestamp()),
        seconds=voice.seconds,
        transcript=voice.transcript,
        warnings=[VoiceWarning.model_validate(vars(each)) for each in voice.warnings],
    )


def _recordings(engine: Engine, kept: Kept | None) -> Recordings | None:
    cloning = engine.capabilities.cloning
    if cloning is None:
        return None
    shortest, longest = cloning.seconds
    return Recordings(
        kept=kept is not None,
        per_key=kept.per_key if kept else None,
        seconds=(shortest, min(longest, MOST_SECONDS)),
        transcript=cloning.transcript,
        emotion=cloning.emotion,
        formats=list(CONTAINERS),
        max_bytes=MAX_UPLOAD_BYTES,
        max_bytes_once=MAX_REFERENCE_BYTES,
        consent=STATEMENT,
    )


def _say(message: str, request: Request, voice_id: str) -> None:
    told = {"voice": voice_id, "caller": caller_of(request.scope), "request_id": request_id_of(request.scope)}
    _log.info(message, extra=fields(**told))
