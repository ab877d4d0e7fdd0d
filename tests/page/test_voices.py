"""The page before a server whose model clones: voices by microphone and by file, listed and deleted."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.page.conftest import Open
from tests.page.proxy import Proxy
from tests.page.test_access import CONTRAST, SMALL, nodes, width
from tests.serving import pitch
from tests.serving.conftest import Start
from tests.serving.recordings import TEXT, encoded, noisy, voice

SPOKEN = 260.0
"""Hertz, of who speaks into the microphone."""


@pytest.fixture(scope="module")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """With a microphone that plays a file."""
    file = tmp_path_factory.mktemp("microphone") / "voice.wav"
    file.write_bytes(encoded("wav", voice(SPOKEN, 10, 48_000), 48_000))
    words = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium, args=[*words, f"--use-file-for-fake-audio-capture={file}"]
        )
        yield running
        running.close()


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("volume")


@pytest.fixture(scope="module")
def gateway(chromium: str, start: Start, volume: Path) -> Iterator[Proxy]:
    """In place of the other tests' servers."""
    store = {"prefix": "", "outputs": False, "voices": {"perKey": 3}}
    server = start(config=pitch.config(store=store), module="tests.serving.pitch", TTS_STORE_DIR=str(volume))
    server.wait_ready(120)
    with Proxy({"1.0.0": server.port}).running() as proxy:
        yield proxy


def open_voices(page: Page) -> None:
    page.get_by_role("button", name="Your voices …").click()
    expect(page.locator("#voices")).to_be_visible()


def fill(page: Page, *, name: str = "Ada", file: bytes | None = None) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("The words that are spoken in it").fill(TEXT)
    page.get_by_label("The person who speaks in this recording has agreed").check()
    if file is not None:
        page.get_by_label("Choose a file").set_input_files(
            {"name": "ada.flac", "mimeType": "audio/flac", "buffer": file}
        )


def kept(volume: Path) -> list[Path]:
    return list(volume.rglob("voice.json"))


def test_a_voice_by_microphone_is_spoken_and_deleted(visit: Open, gateway: Proxy, volume: Path) -> None:
    page = visit(("404", "409"), served="pitch", permissions=["microphone"])
    open_voices(page)
    expect(page.locator("#voices-empty")).to_be_visible()
    expect(page.locator("#voice-hint")).to_have_text("One person who speaks for 3 to 12 s, in a quiet room.")
    fill(page)
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.locator("#voice-source-name")).to_contain_text("4.", timeout=15_000)
    page.get_by_role("button", name="Stop recording").click()
    expect(page.locator("#voice-heard")).to_be_visible()
    page.get_by_role("button", name="Add this voice").click()
    expect(page.locator("#voices-notice")).to_contain_text("Ada is added")
    expect(page.locator("#voice-rows li")).to_contain_text("Ada")
    assert len(kept(volume)) == 1
    page.get_by_role("button", name="Close").click()
    assert page.locator("#voice option").all_inner_texts() == ["plain", "Ada"]
    assert page.locator("#voice option:checked").inner_text() == "Ada"
    page.fill("#text", "Good morning to all of you.")
    page.click("#speak")
    expect(page.locator("#after")).to_be_visible()
    assert gateway.spoken()[-1][1]["voice"].startswith("voice_")
    with page.expect_download() as download:
        page.click("#download")
    samples = np.frombuffer(download.value.path().read_bytes()[44:], "<i2").astype(np.float32)
    assert pitch.pitch_of(samples, pitch.RATE) == pytest.approx(SPOKEN, abs=5)

    open_voices(page)
    page.get_by_role("button", name="Delete the voice Ada").click()
    page.get_by_role("button", name="Keep").click()
    assert len(kept(volume)) == 1
    page.get_by_role("button", name="Delete the voice Ada").click()
    page.get_by_role("button", name="Delete the voice Ada").click()
    expect(page.locator("#voices-notice")).to_contain_text("Ada is deleted")
    assert kept(volume) == []
    assert page.locator("#voice option").all_inner_texts() == ["plain"]


def test_what_is_missing_or_refused_is_said(visit: Open, gateway: Proxy, volume: Path) -> None:
    page = visit(("400", "404", "409", "413", "503"), served="pitch", permissions=["microphone"])
    open_voices(page)
    notice, submit = page.locator("#voices-notice"), page.get_by_role("button", name="Add this voice")
    submit.click()
    expect(notice).to_contain_text("There is no recording yet")
    fill(page, file=encoded("flac", noisy(voice(), 12)))
    page.get_by_label("The person who speaks").uncheck()
    submit.click()
    expect(notice).to_contain_text("only with the consent")
    assert not any(path == "/v1/voices" and method == "POST" for method, path, *_ in gateway.asked)
    page.get_by_label("The person who speaks").check()
    gateway.answer("/v1/voices", 503, {"error": {"message": "The store does not answer."}})
    submit.click()
    expect(notice).to_contain_text("No server is ready right now")
    submit.click()
    expect(page.locator("#voice-rows")).to_contain_text("There is noise in its pauses")
    fill(page, name="Short", file=encoded("flac", voice(seconds=2)))
    submit.click()
    expect(notice).to_contain_text("The server does not take this")
    expect(notice).to_contain_text("2.0 s, and at least 3 s are needed")
    assert len(kept(volume)) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_for_everybody(visit: Open, gateway: Proxy, scheme: str) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "color_scheme": scheme, "permissions": ["microphone"]}
    page = visit(("400", "404"), served="pitch", **phone)
    open_voices(page)
    fill(page, name="A name of many words that goes on", file=encoded("flac", voice(seconds=2)))
    page.get_by_role("button", name="Add this voice").click()
    expect(page.locator("#voices-notice")).to_contain_text("at least 3 s")
    assert width(page) <= 360
    found = page.evaluate(CONTRAST)
    assert found["looked"] > 10
    assert found["found"] == []
    assert page.evaluate(SMALL) == []
    assert [
        (role, name) for role, name in nodes(page) if role in ("button", "textbox", "checkbox") and not name
    ] == []


def test_a_model_that_does_not_clone_shows_nothing_of_it(visit: Open, gateway: Proxy) -> None:
    gateway.answer("/v1/voices", 200, {"data": [{"id": "plain", "default": True}]})
    page = visit(("404",), served="pitch", permissions=["microphone"])
    expect(page.locator("#voice option")).to_have_count(1)
    expect(page.get_by_role("button", name="Your voices …")).to_be_hidden()
