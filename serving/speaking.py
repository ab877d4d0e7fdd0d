"""`POST /v1/audio/speech`: from the request to the stream of its audio."""

from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from serving import events
from serving.account import Account, account_of
from serving.admission import Doors
from serving.answers import ERRORS
from serving.encoding import FORMATS
from serving.metrics import SPEECH_PATH
from serving.origin import gate_of
from serving.parts import Parts
from serving.speech import ONCE, SpeechRequest, check
from serving.storage import outputs as storing
from serving.storage.outputs import Outputs, Recording
from serving.synthesis import SpeechResponse, Synthesiser, first_part, until_over

_MEDIA_TYPES = {each.media_type: {"type": "string", "format": "binary"} for each in FORMATS.values()}
_RETRY = {
    "Retry-After": {"description": "Seconds until it is worth asking again.", "schema": {"type": "integer"}}
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The audio, as it is made.",
        # What an event holds cannot be said in this version of OpenAPI.
        "content": {name: {"schema": schema} for name, schema in _MEDIA_TYPES.items()}
        | {events.MEDIA_TYPE: {}},
    },
    429: {**ERRORS["default"], "description": "Too many requests: come back later.", "headers": _RETRY},
    503: {
        **ERRORS["default"],
        "description": "The model is still loading, or has no memory left.",
        "headers": _RETRY,
    },
    **ERRORS,
}


def install(app: FastAPI, parts: Parts) -> None:
    """Has `app` speak."""
    config = parts.config
    synthesiser = Synthesiser(config.slots)
    doors = Doors(config.admission, slots=config.slots)
    identity = {
        "model": config.model,
        "version": config.version,
        "revision": config.revision,
        "sample_rate": config.sample_rate,
    }
    parts.metrics.count_queue(lambda: doors.callers.waiting)

    @app.post(SPEECH_PATH, response_class=StreamingResponse, responses=_RESPONSES)
    async def speech(body: SpeechRequest, request: Request) -> Response:
        """Speaks a text; the audio is streamed sentence by sentence."""
        engine = parts.host.loaded()
        account = account_of(request.scope)
        spoken = await parts.voices.resolved(
            check(body, model=config.model, engine=engine, lexicon=config.lexicon),
            body.reference,
            owner=account.caller,
            model=config.model,
            engine=engine,
        )
        account.speech, account.records, account.identity = spoken, parts.records, identity
        recording = account.recording = _recording(
            parts.outputs, account, gate_of(request.scope, config.revision)
        )
        place = doors.enter(account.origin, account.caller)
        stream = synthesiser.stream(engine, spoken, place=place, listener=account)
        if spoken.utterance.voice == ONCE:
            stream = until_over(stream, lambda: parts.voices.spoken(spoken, engine))
        first = None
        try:
            # Whatever can go wrong with a text goes wrong here, before the answer says 200.
            first = await first_part(stream, request.receive)
        finally:
            if first is None and recording is not None:
                recording.abandon()
        if first is None:
            return Response(status_code=499)  # nobody reads it: the client went away
        headers = {"x-tts-sample-rate": str(engine.sample_rate)}
        if spoken.ignored:
            headers["x-tts-ignored"] = ", ".join(spoken.ignored)
        answer = partial(
            SpeechResponse, first, stream, spoken.media_type, headers, seconds=config.longest_answer
        )
        if recording is None:
            return answer()
        if recording.promised:
            headers[storing.HEADER] = recording.key
        return answer(around=partial(storing.recorded, recording=recording))


def _recording(outputs: Outputs | None, account: Account, release: str | None) -> Recording | None:
    """What keeps the answer, where anything does; `release` is the one whose gate asks for it. A gate judges
    wav as it is streamed, and nothing else."""
    if outputs is None or account.speech is None:
        return None
    if release is not None and account.speech.format == "wav" and not account.speech.events:
        return outputs.begin_judged(release=release)
    if not account.origin.recorded:
        return None
    return outputs.begin(
        voice=account.speech.utterance.voice,
        seed=account.speech.utterance.seed,
        audio_format=account.speech.format,
        request_id=account.request_id,
    )
