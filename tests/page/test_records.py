"""The page before servers that ask for a key, say which versions there are, and keep records."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from serving.keys import hash_of
from tests.page.conftest import Open
from tests.page.proxy import Proxy
from tests.page.test_speaking import TEXT, saved, type_text
from tests.serving.conftest import Start, inference, poll

VERSIONS = [
    {"version": "1.0.0", "revision": "hibari-1-0-0-abcdef", "role": "stable", "weight": 80},
    {"version": "1.1.0", "revision": "hibari-1-1-0-abcdef", "role": "canary", "weight": 20},
]


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("volume")


@pytest.fixture(scope="module")
def gateway(
    chromium: str, start: Start, float_model_dir: Path, volume: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """In place of the other tests' servers."""
    told = tmp_path_factory.mktemp("told")
    (told / "keys").write_text(f"ada {hash_of('tts-ada')}\n")
    (told / "versions.json").write_text(json.dumps(VERSIONS))
    more = {"TTS_API_KEYS": told / "keys", "TTS_VERSIONS": told / "versions.json", "TTS_STORE_DIR": volume}
    environment = {name: str(path) for name, path in more.items()}
    store = {"prefix": "", "outputs": True, "records": {"days": 30}}
    servers = {
        "1.0.0": start(config=inference("1.0.0", store=store), **environment),
        "1.1.0": start(float_model_dir, inference("1.1.0", store=store), **environment),
    }
    for server in servers.values():
        server.wait_ready(120)
    with Proxy({version: server.port for version, server in servers.items()}).running() as proxy:
        yield proxy


def found(volume: Path, ending: str) -> list[Path]:
    """Files, also while folders go away, which `rglob` does not bear."""
    return [
        Path(folder) / name for folder, _, names in os.walk(volume) for name in names if name.endswith(ending)
    ]


def kept(volume: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in found(volume, f".{kind}.json")]


def test_with_a_key_two_versions_are_compared_blind_and_the_vote_is_kept(
    visit: Open, gateway: Proxy, volume: Path
) -> None:
    page = visit(("401",), served="Asking")
    expect(page.locator("#notice")).to_contain_text("This server wants an API key")
    page.get_by_label("API key").fill("tts-ada")
    page.keyboard.press("Enter")
    expect(page.locator("#served")).to_contain_text("English")
    page.get_by_label("Compare two").check()
    assert [page.input_value(f"#{name}") for name in ("version", "other")] == ["1.0.0", "1.1.0"]
    type_text(page, TEXT)
    page.click("#speak")
    expect(page.locator("#vote")).to_be_visible()
    assert {headers["authorization"] for headers, _ in gateway.spoken()} == {"Bearer tts-ada"}
    page.click("[data-vote=a]")
    preferred = page.locator("#facts strong").first.inner_text()
    poll(lambda: len(kept(volume, "rating")) == 1, 10)
    poll(lambda: len(kept(volume, "record")) == 2, 10)
    (rating,) = kept(volume, "rating")
    chosen = next(record for record in kept(volume, "record") if record["version"] == preferred)
    rejected = next(record for record in kept(volume, "record") if record["version"] != preferred)
    assert rating["rating"] == "up"
    assert rating["comment"] == (
        f"comparison (blind): preferred to {rejected['id']} of version {rejected['version']}"
    )
    assert len(list(volume.rglob(f"ada/{chosen['id']}/*.rating.json"))) == 1
    assert {record["text"] for record in kept(volume, "record")} == {TEXT}

    page.get_by_label(f"Delete: {TEXT}").click()
    expect(page.locator("#entries li")).to_have_count(0)
    poll(lambda: not found(volume, ".record.json") and not found(volume, ".wav"), 10)


def test_what_the_server_says_it_can_do_can_be_had(visit: Open, gateway: Proxy) -> None:
    page = visit(("401",), served="Asking")
    page.get_by_label("API key").fill("tts-ada")
    page.keyboard.press("Enter")
    expect(page.locator("#served")).to_contain_text("English")
    assert page.locator("#voice option").all_inner_texts() == ["heart"]
    type_text(page, TEXT)
    page.get_by_role("button", name="Add a word").click()
    page.get_by_label("Word 1", exact=True).fill("harbour")
    page.get_by_label("Pronunciation of word 1, in IPA").fill("ˈhɑːbə")
    page.click("#speak")
    expect(page.locator("#after")).to_be_visible()
    page.get_by_label("Good", exact=True).click()
    expect(page.locator("#outcome")).to_contain_text("The server keeps this rating")
    assert page.locator("#format option").all_inner_texts() == ["WAV", "MP3", "OPUS", "AAC", "FLAC"]
    page.select_option("#format", "mp3")
    assert saved(page)[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
    assert gateway.spoken()[0][1]["phonemes"] == {"harbour": "ˈhɑːbə"}
