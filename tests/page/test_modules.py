"""What the page decides without a document: loudness, votes, what is offered, and how failures are told."""

import json
import re
from typing import Any, get_args

import pytest

from serving.engines.base import Alphabet
from serving.voices.voice import STATEMENT
from tests.page.node import PAGE, run


def test_loudness_is_that_of_the_standard() -> None:
    """EBU Tech 3341: a 1 kHz sine at -23 dBFS is -23 LUFS on two channels, so -26.01 on one."""
    found = run("""
        const sine = (rate, seconds, amplitude) => {
          const sample = (_, at) => amplitude * Math.sin((2 * Math.PI * 1000 * at) / rate);
          return Float32Array.from({ length: rate * seconds }, sample);
        };
        const joined = (...pieces) => Float32Array.from(pieces.flatMap((piece) => [...piece]));
        const loud = sine(24000, 4, 10 ** (-23 / 20));
        give([
          ...[16000, 24000, 44100, 48000].map((rate) => loudness(sine(rate, 4, 10 ** (-23 / 20)), rate)),
          loudness(joined(new Float32Array(96000), loud, sine(24000, 4, 10 ** (-50 / 20))), 24000),
          String(loudness(new Float32Array(24000), 24000)), String(loudness(new Float32Array(0), 24000)),
          loudness(sine(24000, 1, 0.1).subarray(0, 2400), 24000),
          matched([-20, -26]), matched([-Infinity, -26, -20]),
        ]);
    """)
    *rates, gated, silent, empty, short, pair, three = found
    assert rates == pytest.approx([-26.01] * 4, abs=0.1)
    assert gated == pytest.approx(-26.01, abs=0.5)
    assert (silent, empty) == ("-Infinity", "-Infinity")
    assert short == pytest.approx(-23.0, abs=0.7)
    assert pair == pytest.approx([10 ** (-6 / 20), 1])
    assert three == pytest.approx([1, 1, 10 ** (-6 / 20)])


def test_comparisons() -> None:
    found = run("""
        const entry = (first, second, vote, blind = true) => ({
          takes: [first, second].map((version) => ({ parts: [{ version }] })), order: [0, 1], blind, vote,
        });
        const votes = [
          entry("1", "2", "a"), entry("2", "1", "a"), entry("1", "2", "same"), entry("1", "2", "b"),
          entry("1", "2", "a", false), entry("1", "2", null), entry("1", "3", "a"),
        ];
        const swapped = { ...entry("1", "2", "a"), order: [1, 0] };
        give([
          [order(false, 0.1), order(true, 0.1), order(true, 0.9)],
          [shown(swapped), preferred(swapped), preferred(entry("1", "2", "same"))],
          [entry("1", "2", null), entry("1", "2", "a"), entry("1", "2", null, false)].map(isHidden),
          tally(votes, votes[0]),
        ]);
    """)
    assert found == [
        [[0, 1], [1, 0], [0, 1]],
        [["2", "1"], "2", None],
        [True, False, False],
        {"versions": ["1", "2"], "wins": [1, 2], "same": 1},
    ]


def test_the_history_is_bounded() -> None:
    found = run("""
        const kept = [5, 1, 4, 2, 3].map((at) => ({ id: `e${at}`, at, bytes: at === 2 ? 100 : 10 }));
        const bounds = [{ most: 3, bytes: 1000 }, { most: 9, bytes: 35 }, { bytes: 5 }, {}];
        const large = tooMany([{ id: "a", at: 1, bytes: 1e12 }]);
        give([...bounds.map((one) => tooMany(kept, one)), large]);
    """)
    assert found == [["e2", "e1"], ["e2", "e1"], ["e4", "e3", "e2", "e1"], [], []]


def test_what_is_not_said_is_taken_as_not_there() -> None:
    found = run("""
        const model = { id: "m", languages: ["en"], formats: ["wav", "pcm", "mp3", "flac"], speeds: [0.25, 4],
                        capabilities: { phonemes: true, alphabet: "pinyin" }, max_characters: 300 };
        const about = { model: "m", version: "1.0.0", sampleRate: 44100 };
        const own = { id: "voice_1", name: "Ada", own: true, seconds: 5.2, created: 7,
                      warnings: [{ code: "noisy" }] };
        const taken = { kept: true, seconds: [3, 12], transcript: true, formats: ["wav"] };
        const voices = { data: [{ id: "v", default: true }, own], recordings: taken };
        const full = servedOf(about, { data: [model] }, voices, { data: [{ version: "1" }] });
        const less = servedOf(about, null, null, null);
        const mute = { data: [{ id: "m", capabilities: { phonemes: false } }] };
        const odd = servedOf(about, mute, {}, { data: null });
        give([full, less, odd, formatsFor(full, 1), formatsFor(full, 2), formatsFor(less, 1)]);
    """)
    full, less, odd, one, several, none = found
    assert (full["most"], full["speeds"], full["phonemes"]) == (300, [0.25, 4], True)
    first, own = full["voices"]
    assert (first["id"], first["name"], first["isDefault"], first["own"]) == ("v", "v", True, False)
    assert (own["name"], own["own"], own["seconds"], own["warnings"]) == ("Ada", True, 5.2, ["noisy"])
    assert (full["alphabet"], less["alphabet"], odd["alphabet"]) == ("pinyin", "ipa", "ipa")
    assert full["recordings"]["kept"] is True
    assert less["recordings"] is None
    assert (less["most"], less["speeds"], less["phonemes"], less["voices"]) == (4096, [0.5, 2], False, [])
    assert less["sampleRate"] == 44100
    assert (odd["phonemes"], odd["voices"], odd["versions"]) == (False, [], [])
    assert (one, several, none) == (["wav", "mp3", "flac"], ["wav", "mp3"], ["wav"])


def test_every_failure_is_a_sentence_with_a_way_on() -> None:
    found = run("""
        const state = { online: true, hasKey: false, heard: 0 };
        const of = (error, more = {}) => {
          const { key, way, seconds, field } = failureOf(error, { ...state, ...more });
          return [key, way, seconds ?? null, field ?? null];
        };
        const refusal = (status, more) => new Refusal(status, "why", more);
        give([
          of(refusal(401)), of(refusal(401), { hasKey: true }),
          of(refusal(429, { wait: 7 })), of(refusal(429, { code: "rate_limit_exceeded", wait: 0 })),
          of(refusal(429)),
          of(refusal(503, { code: "loading" })), of(refusal(503)), of(refusal(504)), of(refusal(500)),
          of(refusal(413)), of(refusal(400, { param: "input" })), of(refusal(400, { param: "voice" })),
          of(new Unreachable("")), of(new Unreachable(""), { online: false }),
          of(new Unreachable(""), { heard: 3 }),
          of(new Mistake("error.empty", {}, "text")), of(new Error("a mistake of ours")),
          secondsOf("7"), secondsOf("Wed, 25 Nov 2026 00:00:09 GMT", Date.UTC(2026, 10, 25)),
          secondsOf("soon") ?? null,
        ]);
    """)
    assert found == [
        ["error.key", "key", None, "key"],
        ["error.key.wrong", "key", None, "key"],
        ["error.busy", "wait", 7, None],
        ["error.limit", "wait", 1, None],
        ["error.busy", "wait", 5, None],
        ["error.loading", "load", None, None],
        ["error.unavailable", "again", None, None],
        ["error.unavailable", "again", None, None],
        ["error.server", "again", None, None],
        ["error.large", "none", None, None],
        ["error.input", "none", None, "text"],
        ["error.field", "again", None, None],
        ["error.unreachable", "again", None, None],
        ["error.offline", "again", None, None],
        ["error.broken", "again", None, None],
        ["error.empty", "none", None, "text"],
        ["error.page", "again", None, None],
        7,
        9,
        None,
    ]


def test_examples_are_in_a_language_of_the_model() -> None:
    found = run("""
        const english = exampleAfter("", []);
        const chinese = exampleAfter("", ["zh-CN"]);
        give([english === exampleAfter("", ["en"]), exampleFor("mine", ["zh"]),
              exampleFor(english, ["zh"]) === chinese,
              exampleFor(chinese, ["en", "zh"]) === english, exampleAfter(english, ["en"]) === english,
              bestOf(["fr", "zh-TW", "en"]), bestOf(["fr"])]);
    """)
    assert found == [True, "mine", True, True, False, "zh", "en"]


def texts(name: str) -> dict[str, Any]:
    return dict(run(f"give((await import({json.dumps((PAGE / f'{name}.js').as_uri())})).{name})"))


def test_both_languages_say_the_same_and_nothing_is_missing_or_left_over() -> None:
    english, chinese = texts("english"), texts("chinese")
    assert list(english) == list(chinese)

    def braces(text: Any) -> set[str]:
        return set(re.findall(r"\{(\w+)\}", text if isinstance(text, str) else text["other"]))

    assert {key: braces(text) for key, text in english.items()} == {
        key: braces(text) for key, text in chinese.items()
    }
    assert english["voices.consent"] == STATEMENT, "what a person reads is what is kept"
    modules = {file.stem: file.read_text() for file in PAGE.glob("*.js")}
    html = (PAGE / "index.html").read_text()
    spoken = html + "".join(text for name, text in modules.items() if name not in ("english", "chinese"))
    marked = set(re.findall(r'data-(?:text|label|placeholder)="([^"]+)"', html))
    assert marked <= set(english)
    # The rest of such a key is an outcome, a role or an alphabet.
    families = ("rating.", "version.", "phonemes.hint.", "phonemes.sounds.")
    plain = ("code", "more", "switch", "title")
    left = {key for key in english if f'"{key}"' not in spoken and not key.startswith(families)}
    assert left <= set(plain)
    assert {key.removeprefix("rating.") for key in english if key.startswith("rating.")} >= {
        "sent",
        "kept",
        "failed",
    }
    assert {f"version.{role}" for role in ("stable", "canary", "warm")} <= set(english)
    alphabets = get_args(Alphabet)
    assert {key for key in english if key.startswith(("phonemes.hint.", "phonemes.sounds."))} == {
        f"phonemes.{what}.{alphabet}" for what in ("hint", "sounds") for alphabet in alphabets
    }
