"""Looks for texts that the engine cannot read, or reads for too long.

    python -m tests.bench.serving_texts --seconds 300

Random texts made of what has broken it before are read until the time is over, and one of ten is spoken:
words, numbers, addresses, symbols, other scripts, markup, repeated a few or a few hundred times. Each must be
answered with sound or with UnspeakableError. The time (of the processor, since the machine may be busy) must
stay within a second for reading, and within a multiple of what as much plain speech takes. The worst are
printed; the exit code is 1 where one is wrong.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from serving.engines.base import Utterance
from serving.engines.hibari.engine import HibariEngine
from serving.errors import UnspeakableError
from serving.speech import MAX_CHARACTERS

READING_SECONDS = 1.0
"""Of the processor, that any text may take before its first chunk."""
MOST_TIMES = 4.0
"""What a second of audio may take, in multiples of what plain speech takes."""
RATE = 24_000
PLAIN = "The harbour was quiet before the first ferry left, and nobody minded at all. "
SCRIPTS = (
    "ａ１",
    "你好世界",
    "مرحبا",
    "привет",
    "αβγ",
    "שלום",
    "हिन्दी",
    "한국어",
    "ไทย",
    "ñéüßøł",
    "ⅣⅫ①②½²³",
    "😀👩‍👩‍👧🇩🇪",
)
MARKUP = (
    *(
        "[word](/wɜɹd/)",
        "[a b](/ə bi/)",
        "[x](http://y.z)",
        "[",
        "](",
        "<b>",
        "</b>",
        "&amp;",
        "**x**",
        "`code`",
    ),
    *(
        "{x: 1}",
        "\\n",
        "$x^2$",
        "x=y",
        "a/b/c",
        "--",
        "...",
        "?!",
        "\u200b",
        "\u00a0",
        "\ufeff",
        "\u0301",
        "\x00",
        "\x1b",
    ),
)
NUMBERS = (
    *(
        "7",
        "007",
        "1,234,567.89",
        "3.14159265358979",
        "1e10",
        "-5",
        "+49",
        "12:34",
        "24:60",
        "99:99:99",
        "1/2",
        "31/12",
    ),
    *(
        "2024-02-30",
        "13/13/2024",
        "$5.00",
        "$0.999",
        "€1,000,000",
        "£.5",
        "5km",
        "5 km²",
        "10%",
        "50°C",
        "1st",
        "0th",
    ),
    *(
        "111th",
        "1990s",
        "'90s",
        "IV",
        "Henry VIII",
        "Chapter MMMM",
        "#1",
        "No. 5",
        "3-4",
        "555-123-4567",
        "1" * 36,
    ),
    *(
        "0" * 36,
        "1." + "9" * 40,
        "." * 3 + "5",
        "5" * 20 + "," * 3,
        "1,1,1,1",
        "1..2",
        "٣٤",
        "１２３",
        "²",
        "½",
        "Ⅷ",
    ),
)
ADDRESSES = (
    "https://www.example.com/a/b-c?d=e&f=g#h",
    "a.b@c.org",
    "www.x.io",
    "C:\\x\\y",
    "/usr/lib/x.so.1",
    "x_y.z()",
)
WORDS = (
    *(
        "the",
        "a",
        "I",
        "NASA",
        "iPhone",
        "McDonald's",
        "o'clock",
        "rock'n'roll",
        "e.g.",
        "Dr.",
        "U.S.A.",
        "vs.",
    ),
    *(
        "state-of-the-art",
        "Donaudampfschifffahrt",
        "x" * 45,
        "aB" * 20,
        "zzyzx",
        "hmm",
        "ing",
        "'s",
        "s'",
        "ed",
        "to",
    ),
)


def any_character(source: random.Random) -> str:
    """A character of any kind but half a pair."""
    while True:
        character = chr(
            source.choice(
                (source.randrange(32, 127), source.randrange(0x20, 0x2FFF), source.randrange(0x110000))
            )
        )
        if unicodedata.category(character) != "Cs":
            return character


def atom(source: random.Random) -> str:
    """Something small."""
    kind = source.choice((SCRIPTS, MARKUP, NUMBERS, ADDRESSES, WORDS, WORDS, None, None))
    if kind is not None:
        return source.choice(kind)
    return "".join(any_character(source) for _ in range(source.randint(1, 8)))


def text(source: random.Random) -> str:
    """A text of at most MAX_CHARACTERS: a few atoms, or a small pattern of them again and again."""
    pattern = source.choice(("", " ", " ", ", ", ". ", "\n", "-", "_", "/")).join(
        atom(source) for _ in range(source.randint(1, 6))
    )
    times = source.choice((1, 1, 3, 30, 1000))
    between = source.choice(("", " ", " ", ", ", "\n"))
    return (source.choice(("", PLAIN)) + between.join([pattern] * times))[:MAX_CHARACTERS]


@dataclass(frozen=True)
class Run:
    """How one text fared; times in seconds, those before `audio` of the processor."""

    text: str
    reading: float
    speaking: float
    audio: float
    end: str

    def is_wrong(self, pace: float) -> bool:
        """Whether this must not happen; `pace` is what a second of plain speech takes."""
        late = self.reading > READING_SECONDS or self.speaking > MOST_TIMES * pace * max(self.audio, 1.0)
        return late or self.end not in ("spoken", "read", "refused")


def run(engine: HibariEngine, utterance: Utterance, *, speak: bool) -> Run:
    """Reads the text, up to the first chunk, and speaks the rest if `speak`."""
    began = first = time.process_time()
    samples, end = 0, "no sound and no error"
    chunks = engine.synthesise(utterance)
    try:
        for chunk in chunks:
            if not samples:
                first, end = time.process_time(), "spoken" if speak else "read"
            samples += chunk.size
            if not 0 < abs(chunk).max() <= 1:
                end = "a chunk without sound, or beyond full scale"
            if not speak:
                break
    except UnspeakableError:
        first, end = first if samples else time.process_time(), "broke off" if samples else "refused"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
        end = f"{type(error).__name__}: {error}"
    chunks.close()
    return Run(utterance.text, first - began, time.process_time() - first, samples / RATE, end)


def main() -> int:
    """Prints what was found; returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    source = random.Random(options.seed)
    engine = HibariEngine(Path(str(resources.files("hibari") / "assets" / "hibari.onnx")))
    engine.warm_up()
    plain = run(engine, Utterance(text=PLAIN * 20, voice="heart", seed=1), speak=True)
    pace = (plain.reading + plain.speaking) / plain.audio
    runs = []
    deadline = time.monotonic() + options.seconds
    while time.monotonic() < deadline:
        speed = source.choice((1.0, *engine.speeds))
        asked = Utterance(text=text(source), voice="heart", speed=speed, seed=1)
        runs.append(run(engine, asked, speak=source.random() < 0.1))
    return report(runs, pace)


def report(runs: Sequence[Run], pace: float) -> int:
    """Prints the worst; returns the exit code."""
    print(f"{len(runs)} texts: {dict(Counter(one.end for one in runs))}; memory at most {memory():.0f} MiB")
    print(f"Plain speech takes {pace * 1000:.1f} ms a second of audio. Longest to the first chunk:")
    for one in sorted(runs, key=lambda one: -one.reading)[:6]:
        print(f"  {one.reading * 1000:5.0f} ms: {one.text[:100]!r}")
    print("Longest for a second of audio after it:")
    for one in sorted(runs, key=lambda one: -one.speaking / max(one.audio, 1.0))[:6]:
        print(f"  {one.speaking * 1000 / max(one.audio, 1.0):5.1f} ms: {one.text[:100]!r}")
    wrong = [one for one in runs if one.is_wrong(pace)]
    for one in wrong[:30]:
        times = f"{one.reading:.2f} s + {one.speaking:.2f} s for {one.audio:.1f} s"
        print(f"WRONG: {one.end}, {times}: {one.text[:200]!r}")
    return 1 if wrong else 0


def memory() -> float:
    """MiB at most, of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
