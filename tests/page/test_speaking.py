"""What a person does with the page: type, hear, compare, rate, come back to it."""

import io
import threading
import wave
from typing import Any

import numpy as np
import requests
from playwright.sync_api import Browser, Page, expect

from serving.document import _FOLDER, link
from tests.page.conftest import Open
from tests.page.proxy import SPEECH, Proxy
from tests.serving.conftest import poll

TEXT = "Good morning, harbour."
LONG = "The harbour was quiet before the first ferry left. How long does the train take? " * 3
QUICK = "2"  # the speed: what is played takes half the time
PLAIN = ("404", "409")  # a server that lacks a feature, or keeps no records, is asked once
MODELS = {
    "id": "hibari",
    "languages": ["en"],
    "formats": ["mp3", "opus", "aac", "flac", "wav", "pcm"],
    "speeds": [0.5, 4.0],
    "capabilities": {"phonemes": True},
    "max_characters": 100,
}
VOICES = [{"id": "river"}, {"id": "heart", "default": True}]
VERSIONS = [
    {"version": "1.0.0", "revision": "a", "role": "stable", "weight": 80},
    {"version": "1.1.0", "revision": "b", "role": "canary", "weight": 20},
]


def type_text(page: Page, text: str, *, seed: int = 7) -> None:
    page.fill("#text", text)
    page.fill("#speed", QUICK)
    if not page.is_visible("#seed"):
        page.click("summary")
    page.fill("#seed", str(seed))


def spoken_by(gateway: Proxy, text: str, version: str = "1.0.0") -> np.ndarray:
    """The samples of the same request, asked for here."""
    body = {"model": "tts", "input": text, "response_format": "pcm", "seed": 7, "speed": float(QUICK)}
    answer = requests.post(f"http://127.0.0.1:{gateway.ports[version]}{SPEECH}", json=body, timeout=30)
    return np.frombuffer(answer.content, "<i2") / 32768


def heard(page: Page) -> np.ndarray:
    """What reached the speakers since the page was opened, without the silence around it."""
    samples = np.array(page.evaluate("heard.samples"), dtype=float)
    sounding = np.flatnonzero(np.abs(samples) > 1e-3)
    return samples[sounding[0] : sounding[-1] + 1] if len(sounding) else samples[:0]


def wait_heard(page: Page, seconds: float) -> None:
    poll(lambda: page.evaluate("heard.samples.filter((x) => Math.abs(x) > 1e-3).length") > seconds * 6000, 10)


def trimmed(samples: np.ndarray) -> np.ndarray:
    sounding = np.flatnonzero(np.abs(samples) > 1e-3)
    return samples[sounding[0] : sounding[-1] + 1]


def level(samples: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt((samples**2).mean())))


def saved(page: Page) -> bytes:
    with page.expect_download() as download:
        page.click("#download")
    return download.value.path().read_bytes()


def serve_features(gateway: Proxy, times: int = 9) -> None:
    for _ in range(times):
        for name, data in (("models", [MODELS]), ("voices", VOICES), ("versions", VERSIONS)):
            gateway.answer(f"/v1/{name}", 200, {"object": "list", "data": data})


def test_what_is_typed_is_heard_and_downloaded(visit: Open, gateway: Proxy) -> None:
    page = visit(PLAIN)
    type_text(page, TEXT)
    page.click("#speak")
    expect(page.locator("#facts strong")).to_have_text("1.0.0")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Pause")
    expected = spoken_by(gateway, TEXT)
    with wave.open(io.BytesIO(saved(page))) as file:
        assert (file.getframerate(), file.getnframes()) == (24000, len(expected))
        assert np.array_equal(np.frombuffer(file.readframes(10**7), "<i2"), np.round(expected * 32768))
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play")  # to the end
    page.wait_for_timeout(200)
    played, whole = heard(page), trimmed(expected)
    assert abs(len(played) / len(whole) - 1) < 0.1
    assert abs(level(played) - level(whole)) < 1
    seconds = f"{len(expected) / 24000:.1f}"
    assert page.get_attribute(".waveform", "aria-valuetext") == f"{seconds} of {seconds} seconds"


def test_it_is_heard_before_it_is_made_and_can_be_paused_and_sought(visit: Open, gateway: Proxy) -> None:
    page = visit(PLAIN)
    type_text(page, LONG)
    gateway.held = threading.Event()
    page.click("#speak")
    wait_heard(page, 0.3)
    expect(page.locator("#facts")).to_contain_text("…")  # the length is not known
    expect(page.locator("#status")).to_have_text("Waiting for more speech …")
    page.click("#play")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play")
    page.focus(".waveform")
    page.keyboard.press("End")
    there = float(page.get_attribute(".waveform", "aria-valuenow") or 0)
    assert 1 < there < 3  # no further than what is there
    page.keyboard.press("ArrowLeft")
    assert abs(float(page.get_attribute(".waveform", "aria-valuenow") or 0) - there + 1) < 0.11
    gateway.held.set()
    expect(page.locator("#status")).to_contain_text("Done.")
    box = page.locator(".waveform canvas").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 5)
    seconds = len(spoken_by(gateway, LONG)) / 24000
    assert abs(float(page.get_attribute(".waveform", "aria-valuenow") or 0) - seconds / 2) < 0.3
    assert page.locator("#play").get_attribute("aria-label") == "Play"  # a seek does not end the pause


def test_pieces_join_without_a_gap(browser: Browser) -> None:
    """The player in a context that is calculated, not played: what sounds is the recording, each sample."""
    program = f"""async () => {{
      {link(_FOLDER, "player")} {link(_FOLDER, "recording")}
      const context = new OfflineAudioContext(1, 24000 * 8, 24000);
      context.resume = async () => {{}};
      const recording = new $recording.Recording(24000);
      const samples = Int16Array.from({{ length: 24000 * 7 }}, (_, at) => 12000 * Math.sin(at / 9));
      const player = new $player.Player(() => context);
      recording.append(samples.subarray(0, 30001));
      player.load([{{ recording, gain: 0.5 }}]);
      player.seek(0.25);
      player.play();
      const step = 30001;
      for (let at = step; at < samples.length; at += step) recording.append(samples.subarray(at, at + step));
      recording.end();
      const played = (await context.startRendering()).getChannelData(0);
      const from = played.findIndex((value) => value !== 0);
      let worst = 0;
      for (let at = 1; at < samples.length - 6000; at += 1) {{
        worst = Math.max(worst, Math.abs(played[from + at] - (samples[6000 + at] / 32768) * 0.5));
      }}
      return [from / 24000, worst];
    }}"""
    page = browser.new_page()
    began, worst = page.evaluate(program)
    page.close()
    assert 0.02 < began < 0.1
    assert worst < 1e-4


def test_a_blind_comparison(visit: Open, gateway: Proxy) -> None:
    serve_features(gateway)
    gateway.answer(f"{SPEECH}/*/rating", 204)
    page = visit()
    type_text(page, TEXT)
    page.get_by_label("Compare two").check()
    assert [page.input_value(f"#{name}") for name in ("version", "other")] == ["1.0.0", "1.1.0"]
    page.click("#speak")
    expect(page.locator("#vote")).to_be_visible()
    assert sorted(headers["x-tts-version"] for headers, _ in gateway.spoken()) == ["1.0.0", "1.1.0"]
    first, second = (body for _, body in gateway.spoken())
    assert first == second
    for place in ("#player", "#history"):
        assert "1.0.0" not in page.inner_text(place)
        assert "1.1.0" not in page.inner_text(place)
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play")  # A was heard to its end
    page.wait_for_timeout(200)
    played = heard(page)
    page.click("[data-vote=b]")
    expect(page.locator("#facts strong")).to_have_count(2)
    a, b = page.locator("#facts strong").all_inner_texts()
    assert {a, b} == {"1.0.0", "1.1.0"}
    assert closest(played, {version: spoken_by(gateway, TEXT, version) for version in (a, b)}) == a
    expect(page.locator("#outcome")).to_contain_text(f"You prefer {b}.")
    tally = "1.0.0 preferred 0 ×, 1.1.0 1 ×" if b == "1.1.0" else "1.0.0 preferred 1 ×, 1.1.0 0 ×"
    expect(page.locator("#outcome")).to_contain_text(tally)
    expect(page.locator("#entries")).to_contain_text(f"{b} preferred")
    page.wait_for_timeout(100)
    ratings = [body for _, path, _, body in gateway.asked if path.endswith("/rating")]
    assert [rating["rating"] for rating in ratings] == ["up"]
    assert f"of version {a}" in ratings[0]["comment"]


def closest(played: np.ndarray, candidates: dict[str, np.ndarray]) -> str:
    """Whose samples these are; the two versions differ by little."""

    def likeness(samples: np.ndarray) -> float:
        samples = trimmed(samples)
        shifts = range(-40, 41)
        length = min(len(samples), len(played)) - 100
        return max(
            float(np.corrcoef(played[50 : 50 + length], samples[50 + s : 50 + s + length])[0, 1])
            for s in shifts
        )

    return max(candidates, key=lambda version: likeness(candidates[version]))


def test_a_comparison_with_a_version_that_is_not_there(visit: Open) -> None:
    page = visit(PLAIN)
    type_text(page, TEXT)
    page.get_by_label("Compare two").check()
    page.click("#speak")
    expect(page.locator("#notice")).to_contain_text("Name the version to ask")
    expect(page.locator("#other-typed")).to_be_focused()
    page.keyboard.type("9.9.9")
    page.click("#speak")
    expect(page.locator("#notice")).to_contain_text(
        "Version 9.9.9 cannot be reached here: 1.0.0 spoke instead."
    )
    page.fill("#other-typed", "1.1.0")
    page.click("#speak")
    expect(page.locator("#vote")).to_be_visible()


def test_ratings_with_and_without_records(visit: Open, gateway: Proxy) -> None:
    page = visit(("404", "409"))
    type_text(page, TEXT)
    page.click("#speak")
    page.get_by_label("Good", exact=True).click()
    expect(page.locator("#outcome")).to_contain_text("kept in this browser; the server keeps no records")
    expect(page.locator("#entries")).to_contain_text("good")
    for _ in range(2):
        gateway.answer(f"{SPEECH}/*/rating", 204)
    page.get_by_label("Not good").click()
    expect(page.locator("#outcome")).to_contain_text("The server keeps this rating")
    page.get_by_label("What did you notice?").fill("too fast")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#outcome")).to_contain_text("Your remark is with the record")
    sent = [
        (path, headers["x-tts-version"], body) for _, path, headers, body in gateway.asked if "rating" in path
    ]
    assert [body for *_, body in sent[1:]] == [{"rating": "down"}, {"rating": "down", "comment": "too fast"}]
    assert {version for _, version, _ in sent} == {"1.0.0"}


def test_the_history_outlives_the_page(visit: Open, gateway: Proxy) -> None:
    page = visit(PLAIN)
    for text in (TEXT, "Second text."):
        type_text(page, text)
        page.click("#speak")
        expect(page.locator("#entries li", has_text=text)).to_be_visible()
    page.reload()
    expect(page.locator("#entries li")).to_have_count(2)
    asked = len(gateway.spoken())
    page.get_by_label(f"Play: {TEXT}").click()
    wait_heard(page, 0.3)
    assert len(gateway.spoken()) == asked  # from what was kept
    page.get_by_label(f"Use this text and these settings again: {TEXT}").click()
    assert [page.input_value(f"#{name}") for name in ("text", "seed", "speed")] == [TEXT, "7", "2"]
    page.get_by_label("Delete: Second text.").click()
    expect(page.locator("#entries li")).to_have_count(1)
    expect(page.get_by_label(f"Play: {TEXT}")).to_be_focused()
    page.get_by_role("button", name="Delete all").click()
    expect(page.locator("#confirm")).to_contain_text("1 recording is deleted here")
    page.locator("#confirm").get_by_text("Delete all").click()
    expect(page.locator("#entries li")).to_have_count(0)
    page.reload()
    expect(page.locator("#history-empty")).to_be_visible()
    assert sum(method == "DELETE" for method, *_ in gateway.asked) >= 2


def test_a_browser_that_keeps_nothing(visit: Open) -> None:
    page = visit(
        PLAIN, init="Object.defineProperty(window, 'indexedDB', { get() { throw new Error('private'); } })"
    )
    expect(page.locator("#history-empty")).to_contain_text("until this page is closed")
    type_text(page, TEXT)
    page.click("#speak")
    page.get_by_label("Good", exact=True).click()
    expect(page.locator("#entries li")).to_contain_text("good")
    page.get_by_label(f"Delete: {TEXT}").click()
    expect(page.locator("#entries li")).to_have_count(0)
    expect(page.locator("#text")).to_be_focused()


def test_what_the_server_can_do_is_offered(visit: Open, gateway: Proxy) -> None:
    serve_features(gateway)
    page = visit()
    assert page.locator("#voice option").all_inner_texts() == ["river", "heart"]
    assert page.input_value("#voice") == "heart"
    page.select_option("#voice", "river")
    assert page.get_attribute("#speed", "max") == "4"
    type_text(page, TEXT)
    page.get_by_role("button", name="Add a word").click()
    page.get_by_label("Word 1", exact=True).fill("harbour")
    page.get_by_label("Pronunciation of word 1, in IPA").fill("ˈhɑːbə")
    asked: list[Any] = []

    def speak(route: Any) -> None:
        asked.append(route.request.post_data_json)
        wanted = {"x-tts-version": "1.0.0", "content-type": "audio/mpeg"}
        if asked[-1]["response_format"] == "wav":
            body = {key: value for key, value in asked[-1].items() if key not in ("voice", "phonemes")}
            answer = requests.post(f"{gateway.url}{SPEECH}", json=body, timeout=30)
            route.fulfill(body=answer.content, headers=wanted)
        else:
            route.fulfill(body=b"mp3", headers=wanted)

    page.route(f"**{SPEECH}", speak)
    page.click("#speak")
    expect(page.locator("#after")).to_be_visible()
    page.select_option("#format", "mp3")
    assert saved(page) == b"mp3"
    assert [body["response_format"] for body in asked] == ["wav", "mp3"]
    assert asked[0]["voice"] == "river"
    assert asked[0]["phonemes"] == {"harbour": "ˈhɑːbə"}
    assert {**asked[0], "response_format": "mp3"} == asked[1]


def test_a_long_text_is_spoken_by_several_requests_to_one_version(visit: Open, gateway: Proxy) -> None:
    serve_features(gateway)
    page = visit()
    page.select_option("#version", "1.1.0")
    type_text(page, LONG[:160])
    expect(page.locator("#count")).to_contain_text("spoken in 2 requests")
    page.click("#speak")
    expect(page.locator("#status")).to_contain_text("Done.")
    assert [headers["x-tts-version"] for headers, _ in gateway.spoken()] == ["1.1.0"] * 2
    assert " ".join(body["input"] for _, body in gateway.spoken()) == LONG[:160].strip()
    assert page.locator("#format option").all_inner_texts() == ["WAV", "MP3", "OPUS", "AAC"]
    with wave.open(io.BytesIO(saved(page))) as file:
        assert file.getnframes() == sum(
            len(spoken_by(gateway, body["input"], "1.1.0")) for _, body in gateway.spoken()[:2]
        )
