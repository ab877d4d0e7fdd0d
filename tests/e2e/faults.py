"""Bad edits of a checkout, and `up` with them under traffic: shared by the tests of what is refused."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.conftest import ROLLOUT, VERSIONS, Finished, Platform, Traffic

ENGINE = "serving/engines/hibari/engine.py"
APP = "serving/app.py"
SPEAKING = "serving/speaking.py"
ENTRY = "models/hibari/1.1.0.yaml"
EDITED = [
    ENGINE,
    APP,
    SPEAKING,
    "serving/encoding.py",
    *(f"models/hibari/{version}.yaml" for version in VERSIONS),
]
SPOKEN = "yield np.clip(samples, -1.0, 1.0)"
LOADED = "self._hibari = Hibari("
ASKED = "        spoken = await parts.voices.resolved(\n"
REVERTS = "To go back: make release VERSION=1.0.0"
UNDO = "To go back: undo the edit, then make up"
SOMETHING_ELSE = "Somebody else says something else over here now."

Edit = Callable[[Platform], None]


@dataclass(frozen=True)
class Refusal:
    """A bad edit, the words of the one sentence that must name its cause, the way back that is told, and the
    store in which its audio is kept, empty where it is not."""

    name: str
    edit: Edit
    words: tuple[str, ...]
    reverts: str = REVERTS
    store: str = ""


def config(**values: object) -> Edit:
    return lambda platform: platform.configure(**values)


def candidate(relative: str, old: str, new: str, **values: object) -> Edit:
    """Version 1.1.0 (or what `values` say) with an edit of one of its files."""

    def edit(platform: Platform) -> None:
        platform.configure(**{"modelVersion": "1.1.0", **values})
        platform.edit(relative, old, new)

    return edit


def spoken(*lines: str) -> Edit:
    """A candidate that does this to the `samples` of every chunk before it gives them."""
    return candidate(ENGINE, SPOKEN, "\n            ".join([*lines, SPOKEN]))


def through_the_gateway(*lines: str, **values: object) -> Edit:
    """A candidate that does this when it is asked to speak through the route, and not when a pod is asked
    itself: the header comes from the gateway alone, and `app.state` lives as long as the process."""
    body = [f"            {line}\n" for line in lines]
    asked = '        if "x-request-id" in request.headers:\n'
    return candidate(SPEAKING, ASKED, "".join([asked, *body, ASKED]), **values)


def wrong_words(**values: object) -> Edit:
    """A candidate that says something else to whoever asks through the route."""
    return through_the_gateway(f"body.input = {SOMETHING_ELSE!r}", **values)


def cases(refusals: Iterable[Refusal], *, always: Container[str]) -> list[Any]:
    """Those that are named are tried always, the others by `make test-soak`."""
    return [
        pytest.param(each, id=each.name, marks=() if each.name in always else pytest.mark.soak)
        for each in refusals
    ]


def mend(platform: Platform) -> None:
    for relative in EDITED:
        platform.restore(relative)
    platform.ease()
    platform.configure(modelVersion="1.0.0", registry="local.tts", timeouts=None, rollout=ROLLOUT, store=None)


def cause(text: str, words: tuple[str, ...]) -> str:
    """The first line that holds all the words; it fails when none does."""
    found = [line for line in text.splitlines() if all(word in line for word in words)]
    assert found, f"no line holds all of {words}:\n{text}"
    return found[0].strip()


def attempt(platform: Platform, refusal: Refusal, *, harmed: int = 0) -> tuple[Finished, Traffic]:
    """Makes the bad edit and runs `up` under traffic: it is refused in the refusal's words, and no request
    fails but, where the fault shows only under real requests, at most `harmed` of them. Gives how `up` ended,
    and the traffic."""
    refusal.edit(platform)
    try:
        with Traffic(platform) as traffic:
            done = platform.up()
    finally:
        mend(platform)
    assert done.status != 0, done.text
    print(f"\n{refusal.name}: {cause(done.text, refusal.words)}")
    assert "Traceback" not in done.text
    assert len(traffic.faults) <= harmed, traffic.faults
    return done, traffic


def revert(platform: Platform, revision: str) -> None:
    """The edit reversed and brought up: only `revision` runs, and it serves."""
    reverted = platform.up()
    assert reverted.status == 0, reverted.text
    assert platform.servers() == [revision]
    assert platform.speak().headers["x-tts-revision"] == revision
