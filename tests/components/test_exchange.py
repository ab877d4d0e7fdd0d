"""Entries of models that do not speak: what is asked and answered stands in them, nothing about audio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.catalog import Catalog
from components.errors import CatalogError
from components.plan import release_plan
from components.revision import identify
from tests.components.conftest import LEAST, entry, make_checkout, read, write_entry

ABOUT_SPEECH = ("sampleRate", "languages", "baseline", "limits")
EXCHANGE = {"path": "/v1/completions", "body": {"prompt": "{text}", "stop": ["{text}", 1]}}


def silent(**changes: Any) -> dict[str, Any]:
    """An entry without mistakes, with `changes`; a value of None takes a key away."""
    document = {key: value for key, value in entry().items() if key not in ABOUT_SPEECH}
    document |= {
        "exchange": EXCHANGE,
        "checks": {"required": ["answer", "identity", "firstAudio"]},
        "gate": {"texts": ["one", "two"], "answers": ["un", "d(eux|os)"]},
    }
    return {key: value for key, value in (document | changes).items() if value is not None}


def mistakes(folder: Path, **changes: Any) -> str:
    write_entry(folder, silent(**changes))
    with pytest.raises(CatalogError) as caught:
        Catalog(folder / "models").load("hibari", "1.0.0")
    return " ".join(caught.value.mistakes)


def test_the_release_is_told_what_to_ask_and_what_must_come(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path)
    write_entry(checkout, silent())
    store = {"tts:store": {"bucket": "kept", "region": "eu-central-1"}}
    settings = read(Catalog(checkout / "models"), LEAST | store)
    plan = release_plan(settings, identify(settings, checkout))
    assert "audioStore" not in plan, "an answer in words is no audio"
    assert plan["target"]["gate"] == {
        "texts": ["one", "two"],
        "required": ["answer", "identity", "firstAudio"],
        "firstAudioSeconds": 2.0,
        "firstAudioRatio": 1.25,
        "timeoutSeconds": 60,
        "exchange": EXCHANGE | {"answers": {"one": "un", "two": "d(eux|os)"}},
    }


def test_copies_are_of_what_is_asked(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path)
    for version in ("1.0.0", "1.1.0"):
        write_entry(checkout, silent(version=version))
    mirrored = {"tts:canary": {"version": "1.1.0", "mirror": True}}
    settings = read(Catalog(checkout / "models"), LEAST | mirrored)
    route = release_plan(settings, identify(settings, checkout))["route"]["spec"]["http"]
    (copied,) = [each for each in route if each["name"] == "speech"]
    assert copied["match"] == [{"uri": {"exact": "/v1/completions"}}]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sampleRate": 24000}, "sampleRate is not a known key"),
        (
            {"gate": {"texts": ["a", "b"], "answers": ["a"]}},
            "answers has 1 items for 2 texts: write one for each",
        ),
        ({"gate": {"texts": ["a"], "answers": ["("]}}, "which is no regular expression"),
        ({"exchange": {"path": "completions", "body": {"a": "{text}"}}}, "which is no path of a server"),
        (
            {"exchange": {"path": "/a", "body": {"a": "b"}}},
            "body has no {text} in it, so that every request would",
        ),
        ({"exchange": {"path": "/a"}}, "exchange.body is missing"),
        ({"server": "/etc/Dockerfile"}, "which is no plain path"),
        ({"exchange": None}, "sampleRate is missing"),
    ],
)
def test_wrong_entries(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    assert sentence in mistakes(tmp_path, **changes)
