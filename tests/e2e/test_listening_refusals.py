"""A candidate that is ready and answers 200, but sounds wrong or is slow, gets no request: the gate hears it.

Each fault leaves the server's own warm-up as it is: it comes out only when somebody listens.
"""

from __future__ import annotations

import re

import pytest

from tests.e2e.conftest import Platform
from tests.e2e.faults import (
    ENGINE,
    LOADED,
    SOMETHING_ELSE,
    SPOKEN,
    UNDO,
    Refusal,
    attempt,
    candidate,
    cases,
    revert,
    spoken,
)
from tests.e2e.live import Api, not_kept

AROUND_SECONDS = 0.01
"""What the server and the connection add to an engine's first chunk."""
STORE = {"claim": "kept"}
NOISY_WEIGHTS = '''

def _noisy(model: Path) -> Path:
    """The model with noise on every float32 weight, of a third of its tensor's own spread."""
    import tempfile

    whole, random = bytearray(model.read_bytes()), np.random.default_rng(7)

    def number(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = whole[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                return value, at

    def fields(at: int, end: int) -> Iterator[tuple[int, int, int]]:
        while at < end:
            key, at = number(at)
            size, begin = number(at)
            if key & 7 == 2:
                yield key >> 3, begin, begin + size
            at = {0: begin, 1: at + 8, 2: begin + size, 5: at + 4}[key & 7]

    for part, begin, end in fields(0, len(whole)):
        for inner, first, last in fields(begin, end) if part == 7 else ():  # ModelProto.graph
            for kind, low, high in fields(first, last) if inner == 5 else ():  # GraphProto.initializer
                if kind == 9 and (high - low) % 4 == 0 and high - low > 4000:  # TensorProto.raw_data
                    weights = np.frombuffer(bytes(whole[low:high]), "<f4")
                    if np.isfinite(weights).all() and 1e-6 < weights.std() < 100:
                        noise = random.normal(0, weights.std() / 3, len(weights))
                        whole[low:high] = (weights + noise).astype("<f4").tobytes()
    noisy = Path(tempfile.mkdtemp()) / model.name
    noisy.write_bytes(whole)
    return noisy
'''


@pytest.fixture(scope="module")
def brief() -> bool:
    return False


def noisy_weights(platform: Platform) -> None:
    candidate(ENGINE, LOADED, "model = _noisy(model)\n        " + LOADED)(platform)
    path = platform.checkout / ENGINE
    path.write_text(path.read_text() + NOISY_WEIGHTS)


def slower(platform: Platform) -> None:
    """The same version with a server that waits before its first chunk, by 30 % of what it took till then."""
    candidate(
        ENGINE,
        SPOKEN,
        "if first:\n                time.sleep(0.3 * (time.perf_counter() - began))\n"
        "            first = False\n            " + SPOKEN,
        modelVersion="1.0.0",
    )(platform)
    platform.edit_entry("1.0.0", "limits", firstAudioRatio=1.25)
    platform.edit(
        ENGINE,
        "        pause: float | None = None\n",
        "        pause, first = None, True\n        began = time.perf_counter() - AROUND\n",
    )
    platform.edit(
        ENGINE, "import numpy as np\n", f"import time\n\nimport numpy as np\n\nAROUND = {AROUND_SECONDS}\n"
    )


REFUSALS = [
    Refusal("noise on the weights", noisy_weights, ("quality", "predicted quality", "is wanted")),
    Refusal(
        "noise at 10 dB",
        spoken(
            "spread = np.sqrt(np.mean(samples**2)) * 10 ** (-10 / 20)",
            "samples = samples + random.normal(0, spread, len(samples)).astype(np.float32)",
        ),
        ("quality", "predicted quality", "is wanted"),
    ),
    Refusal(
        "cut to 80 %",
        spoken("samples = samples[: len(samples) * 8 // 10]"),
        ("duration", "characters a second", "are plausible"),
    ),
    Refusal(
        "cut to 50 %",
        spoken("samples = samples[: len(samples) // 2]"),
        ("intelligibility", "of the words are wrong", "it was heard as"),
    ),
    Refusal(
        "blocks of 100 ms shuffled",
        spoken(
            "blocks = np.array_split(samples, max(2, len(samples) // 2400))",
            "random.shuffle(blocks)",
            "samples = np.concatenate(blocks)",
        ),
        ("intelligibility", "of the words are wrong", "it was heard as"),
    ),
    Refusal(
        "16 kHz declared as 24 kHz",
        spoken(
            "at = np.arange(0, len(samples), 24000 / 16000)",
            "samples = np.interp(at, np.arange(len(samples)), samples).astype(np.float32)",
        ),
        ("duration", "characters a second", "are plausible"),
    ),
    Refusal(
        "another text",
        candidate(ENGINE, "prepared(utterance.text,", f"prepared({SOMETHING_ELSE!r},", store=STORE),
        ("intelligibility", "of the words are wrong", "it was heard as"),
        store="pvc://kept/gate/hibari",
    ),
    Refusal(
        "silence",
        spoken("samples = samples * np.float32(utterance.text == _WARM_UP_TEXT)"),
        ("level", "-inf dBFS"),
    ),
    Refusal(
        "twenty times too loud",
        spoken("samples = samples * 20"),
        ("clipping", "% of the samples are clipped", "are allowed"),
    ),
    Refusal("first audio 30 % later", slower, ("firstAudioRatio", "times as long", "at most 1.25"), UNDO),
]


# Three judges run always; what else each of them hears is judged without a platform, in tests/release.
ALWAYS = ("noise on the weights", "another text", "first audio 30 % later")


@pytest.mark.parametrize("refusal", cases(REFUSALS, always=ALWAYS))
def test_what_sounds_wrong_never_gets_traffic(platform: Platform, refusal: Refusal) -> None:
    live = platform.speak().headers["x-tts-revision"]
    done, traffic = attempt(platform, refusal)
    assert set(traffic.revisions) == {live}
    assert re.search(r"Pod hibari-1-\d-0-\S+ remains", done.text), "what remains is named:\n" + done.text
    assert refusal.reverts in done.text, "the line that reverts is printed:\n" + done.text
    if refusal.store:
        led_to_what_was_judged(platform, refusal.store)
    revert(platform, live)


def led_to_what_was_judged(platform: Platform, store: str) -> None:
    """The event and `status` name the file of a text that was refused, and it holds what was judged."""
    receipt = Api(platform.home).receipt()["receipt.json"]
    assert not_kept(receipt, platform.home) == []
    events = Api(platform.home).events()
    refusals = [event["message"] for event in events if event["reason"] == "Refused"]
    for said in (refusals[-1], platform.run("status", "--stack", "dev").text):
        heard = re.search(rf"can be heard: {store}/([0-9a-f]{{64}})\.wav should say ", said)
        assert heard, said
        assert heard[1] in {each["sha256"] for each in receipt["audio"]}
