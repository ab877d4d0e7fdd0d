"""The verdict on one answer that came through the route while a release is under way."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping

from .errors import AudioError
from .smoke import Answer, Sample, excerpt, json_object

BUSY = 429


class Verdict(enum.Enum):
    """What one answer is worth: HOLD is neither for nor against the candidate."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    HOLD = "hold"


def judge_answer(
    answer: Answer, *, revisions: Collection[str], versions: Mapping[str, str], speech: str | None
) -> tuple[Verdict, str]:
    """The verdict and its sentence.

    `revisions` are those the route may answer with, `versions` the version of each revision where that is
    known. `speech` is the text that was asked for; without one the answer is that of GET /version. A server
    that sheds load (429) says nothing about the candidate.
    """
    if answer.status == BUSY:
        return Verdict.HOLD, "The server is at its capacity (429)."
    wrong = _wrong_status(answer) or _wrong_identity(answer, revisions, versions)
    wrong = wrong or (_wrong_version_body(answer) if speech is None else _wrong_speech(answer, speech))
    if wrong:
        return Verdict.FAIL, wrong
    return Verdict.PASS, f"{answer.headers['x-tts-revision']} answered."


def _wrong_status(answer: Answer) -> str:
    if answer.error:
        return f"No answer came through the route: {answer.error}."
    return "" if answer.status == 200 else f"The route answered {answer.status}: {excerpt(answer.body)}"


def _wrong_identity(answer: Answer, revisions: Collection[str], versions: Mapping[str, str]) -> str:
    revision, version = answer.headers.get("x-tts-revision", ""), answer.headers.get("x-tts-version", "")
    if revision not in revisions:
        allowed = ", ".join(sorted(revisions))
        return f"The route answered with revision {revision or 'unknown'}; it leads to {allowed}."
    if not version or versions.get(revision, version) != version:
        wanted = versions.get(revision, "a version")
        return f"Revision {revision} answered as version {version or 'unknown'} instead of {wanted}."
    return ""


def _wrong_version_body(answer: Answer) -> str:
    stated, revision = json_object(answer).get("revision"), answer.headers["x-tts-revision"]
    return "" if stated == revision else f"/version says {stated}, but its header says {revision}."


def _wrong_speech(answer: Answer, text: str) -> str:
    revision = answer.headers["x-tts-revision"]
    try:
        audio = Sample(text=text, speech=answer, version=answer).audio()
    except AudioError as error:
        return f"Revision {revision} did not speak: {error}"
    return "" if audio.samples.any() else f"Revision {revision} answered {audio.seconds:.2f} s of silence."
