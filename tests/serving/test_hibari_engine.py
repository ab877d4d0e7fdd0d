"""hibari itself: what it gives for a text, piece by piece."""

import time
from contextlib import suppress
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from serving.engines.base import Utterance
from serving.engines.hibari.engine import HibariEngine
from serving.errors import UnspeakableError

LONG = (
    "the old ferry leaves the harbour every morning at seven and carries the people of the small island to "
    "the town where most of them have worked since the factory on the mainland was opened after the storm"
)


@pytest.fixture(scope="module")
def engine() -> HibariEngine:
    loaded = HibariEngine(Path(str(resources.files("hibari") / "assets" / "hibari.onnx")))
    loaded.warm_up()
    return loaded


def speak(engine: HibariEngine, text: str, **fields: object) -> list[np.ndarray]:
    return list(engine.synthesise(Utterance(text=text, voice="heart", **{"seed": 1, **fields})))


def phonemes(engine: HibariEngine, text: str, **spoken: str) -> str:
    chunks = engine._chunks(Utterance(text=text, voice="heart", phonemes=spoken))
    return " ".join(chunk.phonemes for chunk in chunks)


def quiet(samples: np.ndarray) -> float:
    """Seconds without sound at the end."""
    return (samples.size - np.flatnonzero(np.abs(samples) > 0.01)[-1]) / 24_000


def test_a_long_sentence_comes_in_pieces_with_short_pauses(engine: HibariEngine) -> None:
    first, second = speak(engine, LONG)
    assert 4 < len(first) / 24_000 < 9
    assert quiet(first) + quiet(second[::-1]) == pytest.approx(0.2, abs=0.06)
    assert quiet(second) > 0.3, "at the sentence's end the model's own silence stays"
    assert first[-1] == second[0] == 0.0


def test_a_pause_follows_the_speed(engine: HibariEngine) -> None:
    pauses = [quiet(speak(engine, LONG, speed=speed)[0]) for speed in (0.5, 2.0)]
    assert pauses[0] > 2 * pauses[1]


def test_sentences_are_what_they_are_alone(engine: HibariEngine) -> None:
    alone, both = speak(engine, "It is quiet."), speak(engine, "It is quiet. Nobody minds.")
    assert np.array_equal(alone[0], both[0])
    assert len(both) == 2


def test_pronunciations_are_spoken(engine: HibariEngine) -> None:
    text = "Nginx is what nginx's authors say."
    assert phonemes(engine, text, nginx="ˌɛndʒɪnˈɛks").count("ˌɛnʤɪnˈɛks") == 2
    assert "ˌɛnʤɪnˈɛksᵻz" in phonemes(engine, text, nginx="ˌɛndʒɪnˈɛks")
    assert not np.array_equal(speak(engine, text)[0], speak(engine, text, phonemes={"nginx": "ˈɛn"})[0])


def test_long_words_are_read_to_their_end(engine: HibariEngine) -> None:
    endings = ("schiffahrt", "bootshaus")
    readings = [phonemes(engine, f"Donaudampfschifffahrtsgesell{ending}") for ending in endings]
    assert readings[0][-4:] != readings[1][-4:]
    known = phonemes(engine, "pneumonoultramicroscopicsilicovolcanoconiosis")
    assert " " not in known


# Of 4,096 characters each; with the engine alone they would take from seconds to hours.
@pytest.mark.parametrize(
    "part", ["&", "a-", "1-", "+", "aB", "a1", "/", "http://a/", "[", "](/", "(", "'", "1 ", "a "]
)
def test_the_first_sound_of_the_worst_texts(engine: HibariEngine, part: str) -> None:
    began = time.process_time()
    chunks = engine.synthesise(Utterance(text=(part * 4096)[:4096], voice="heart"))
    with suppress(UnspeakableError):
        assert len(next(chunks)) / 24_000 < 25
    assert time.process_time() - began < 3  # 0.8 at most on a quiet machine


def test_a_letter_that_is_two_in_small_letters_is_read(engine: HibariEngine) -> None:
    assert phonemes(engine, "The ferry to İzmir, or /İȺ-.") == phonemes(
        engine, "The ferry to Izmir, or /IȺ-."
    )
    assert phonemes(engine, "To İzmir.", **{"İzmir": "tˈɛst"}) == phonemes(engine, "To [Izmir](/tˈɛst/).")
