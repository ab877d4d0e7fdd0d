"""The gate outside of a cluster, for registration: one server is judged, and its pace by itself."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from release.answer import Answer, Sample
from release.audition import PASSED, REFUSED, UNREADABLE, document, hear, main, with_pace
from release.plan import Range, Target
from tests.release import plans
from tests.release.replies import Replies
from tests.release.runs import FakeEars

TEXTS = ("How long is this?", "A quiet morning in the harbour.", "She counted seven birds.")
NAMES = ("decodable", "duration", "level")
EARS = FakeEars(lambda _: ("", 3.0))


@pytest.fixture
def target() -> Target:
    """One whose plan says 7.5 to 12.5 characters a second, as that of a version that is being registered."""
    found = plans.plan_for(plans.V2).target
    pace = Range(min=7.5, max=12.5)
    return replace(found, gate=replace(found.gate, texts=TEXTS, required=NAMES, characters_per_second=pace))


def spoken(*paces: float) -> Iterator[Sample]:
    for text, pace in zip(TEXTS, paces, strict=True):
        body = plans.wav_bytes(plans.speech(text, pace=pace))
        yield Sample(text, Answer(200, {}, body, 0.2), Answer(200, {}, b"{}", 0.01))


def test_the_pace_is_what_was_spoken_and_each_text_keeps_to_it(target: Target) -> None:
    heard = hear(list(spoken(20, 21, 22)), target, EARS)
    assert heard.failed == []
    assert heard.pace == pytest.approx(21, abs=0.1)
    heard = hear(list(spoken(20, 30, 20)), target, EARS)
    assert [(each.name, each.subject) for each in heard.failed] == [("duration", "text 2")]
    # A quarter to each side, as the plan has it of its own middle.
    assert with_pace(target.gate, 20.0).characters_per_second == Range(min=15.0, max=25.0)


def test_what_is_no_audio_fails_and_has_no_pace(target: Target) -> None:
    first, *others = spoken(20, 20, 20)
    page = Sample(first.text, Answer(200, {}, b"<html>", 0.1), first.version)
    heard = hear([page, *others], target, EARS)
    assert heard.pace is None
    assert "decodable" in {each.name for each in heard.failed}
    said = document(heard, target.gate, ["", "2.wav", "3.wav"])
    assert (said["passed"], said["charactersPerSecond"]) == (False, None)


def test_the_command_says_by_its_exit_code_what_came_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plans.plan_document(plans.V2)
    plan["target"]["gate"] |= {"required": ["decodable", "level", "firstAudio"], "texts": [TEXTS[0]]}
    path, out = tmp_path / "plan.json", tmp_path / "out"
    path.write_text(json.dumps(plan))
    body = plans.wav_bytes(plans.speech(TEXTS[0]))
    with Replies(lambda _: (200, body)).serving() as url:
        assert main(path, url.removeprefix("http://"), out) == PASSED
    with wave.open(str(out / "1.wav")) as sample:
        assert sample.getnframes() == len(plans.speech(TEXTS[0]))
    assert json.loads((out / "heard.json").read_text())["passed"] is True
    with Replies(lambda _: (503, {"error": "busy"})).serving() as url:
        assert main(path, url.removeprefix("http://"), out) == REFUSED
    assert "decodable, level: The answer was 503" in capsys.readouterr().err
    assert main(path, "nowhere", out) == UNREADABLE
    assert main(tmp_path / "none.json", "127.0.0.1:1", out) == UNREADABLE
