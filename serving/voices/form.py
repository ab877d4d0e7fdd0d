"""The form by which a recording is added as a voice."""

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from serving.bodies import BodyLimit
from serving.errors import RequestError
from serving.speech import MAX_TRANSCRIPT_CHARACTERS
from serving.voices.unpack import CONTAINERS
from serving.voices.voice import STATEMENT

MAX_UPLOAD_BYTES = 8 << 20
MAX_NAME_CHARACTERS = 80
UPLOAD = BodyLimit(
    MAX_UPLOAD_BYTES + (64 << 10), f"send a recording of at most {MAX_UPLOAD_BYTES} bytes, in mono or as flac"
)
"""The file, and what a form puts around it."""

_KIND = "multipart/form-data"
SCHEMA: dict[str, Any] = {
    "required": True,
    "content": {
        _KIND: {
            "schema": {
                "type": "object",
                "title": "NewVoice",
                "required": ["name", "audio", "consent"],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARACTERS},
                    "audio": {
                        "type": "string",
                        "format": "binary",
                        "description": f"the recording: {', '.join(CONTAINERS)}",
                    },
                    "consent": {"type": "string", "enum": ["true"], "description": STATEMENT},
                    "transcript": {
                        "type": "string",
                        "maxLength": MAX_TRANSCRIPT_CHARACTERS,
                        "description": "the words that are spoken in it, where the model needs them",
                    },
                },
            }
        }
    },
}
"""What the description of the API says of it: the framework reads a form only after the body is there, and
here nothing is read for whom nothing is kept."""


@dataclass(frozen=True, kw_only=True)
class NewVoice:
    """What somebody wants to add; the consent has been given."""

    name: str
    audio: bytes
    transcript: str
    consent: bool


async def read_form(request: Request) -> NewVoice:
    """Reads the request's form, all of it at most UPLOAD. Raises RequestError, or HTTPException for a body
    that is too large."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _KIND:
        raise RequestError(
            f"The request is no form; send {_KIND} with the fields name, audio (a file), consent and "
            "transcript."
        )
    try:
        async with request.form(max_files=1, max_fields=8, max_part_size=16 << 10) as form:
            return await _parsed(form)
    except HTTPException as error:
        if error.status_code != 400:
            raise
        raise RequestError(f"The form cannot be read: {str(error.detail).rstrip('.')}.") from error


async def _parsed(form: FormData) -> NewVoice:
    file = form.get("audio")
    if not isinstance(file, UploadFile):
        raise RequestError(
            "The field `audio` is missing or no file; send the recording as a file.", param="audio"
        )
    if file.size is not None and file.size > MAX_UPLOAD_BYTES:
        raise HTTPException(413, f"The recording is over {MAX_UPLOAD_BYTES} bytes; {UPLOAD.advice}.")
    return NewVoice(
        name=_name(_text(form, "name")),
        audio=await file.read(),
        transcript=_transcript(_text(form, "transcript")),
        consent=_text(form, "consent") == "true",
    )


def _text(form: FormData, field: str) -> str:
    value = form.get(field, "")
    if not isinstance(value, str):
        raise RequestError(f"The field `{field}` is a file; send it as text.", param=field)
    return value


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise RequestError(
            f"The field `name` has {len(name)} characters; give a name of 1 to {MAX_NAME_CHARACTERS} that "
            "can be printed.",
            param="name",
        )
    return name


def _transcript(text: str) -> str:
    words = " ".join(text.split())
    if len(words) > MAX_TRANSCRIPT_CHARACTERS:
        raise RequestError(
            f"The field `transcript` has {len(words)} characters, and at most {MAX_TRANSCRIPT_CHARACTERS} "
            "are accepted: it is what is spoken in the recording.",
            param="transcript",
        )
    return words
