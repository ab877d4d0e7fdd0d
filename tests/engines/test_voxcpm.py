"""The engine with the real package and a model that has learnt nothing."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from serving.engines.base import Utterance, load_engine
from serving.engines.on_torch.kept import Kept
from serving.engines.voxcpm.engine import VoxcpmEngine
from serving.errors import EngineError, UnspeakableError
from tests.engines.conftest import FAST, TEXT, Speak, inference, make_model, recording


def test_the_catalogs_entry_is_loaded_and_speaks(model_dir: Path) -> None:
    engine = load_engine(inference(), model_dir)
    assert (engine.sample_rate, engine.voices, engine.speeds) == (44_100, ("any",), (1.0, 1.0))
    with pytest.raises(EngineError, match="set tts:slots to 1"):
        load_engine(inference(slots=2), model_dir)


def test_it_streams_patch_by_patch(engine: VoxcpmEngine) -> None:
    chunks = list(engine.synthesise(Utterance(text=TEXT, voice="any", seed=7)))
    assert len(chunks) >= 3
    for chunk in chunks:
        assert (chunk.shape, chunk.dtype) == ((7056,), np.float32)
        assert float(np.abs(chunk).max()) <= 1.0


def test_the_same_seed_is_the_same_speech(speak: Speak) -> None:
    once = speak()
    assert np.array_equal(speak(), once)
    other = speak(seed=8)
    assert other.shape != once.shape or not np.array_equal(other, once)


def test_a_model_that_is_loaded_again_speaks_the_same(speak: Speak, model_dir: Path) -> None:
    assert np.array_equal(speak(by=VoxcpmEngine(model_dir, FAST, {})), speak())


def test_one_that_is_stopped_half_way_leaves_nothing_behind(engine: VoxcpmEngine, speak: Speak) -> None:
    whole = speak()
    for taken in (0, 1, 2):
        begun = engine.synthesise(Utterance(text=TEXT, voice="any", seed=3))
        for _ in range(taken):
            next(begun)
        begun.close()
        assert np.array_equal(speak(), whole)


def test_a_second_text_waits_for_the_end_of_the_first(engine: VoxcpmEngine, speak: Speak) -> None:
    alone, order, both = speak(), [], threading.Barrier(2)
    heard: dict[int, np.ndarray] = {}

    def one(number: int) -> None:
        both.wait()
        chunks = []
        for chunk in engine.synthesise(Utterance(text=TEXT, voice="any", seed=7)):
            order.append(number)
            chunks.append(chunk)
        heard[number] = np.concatenate(chunks)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order in (
        [0] * (len(order) // 2) + [1] * (len(order) // 2),
        [1] * (len(order) // 2) + [0] * (len(order) // 2),
    )
    assert all(np.array_equal(heard[number], alone) for number in range(2))


def test_a_recording_gives_the_voice_and_is_read_once(
    engine: VoxcpmEngine, speak: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    encode = engine._model.audio_vae.encode

    def remembered(audio: torch.Tensor, rate: int) -> torch.Tensor:
        read.append(audio.shape[-1])
        return encode(audio, rate)

    monkeypatch.setattr(engine._model.audio_vae, "encode", remembered)
    engine._voices.clear()  # what other tests have asked for
    first = speak(reference=recording())
    assert np.array_equal(speak(reference=recording()), first)
    assert len(read) == 1
    assert read[0] % 7056 == 0, "whole patches at the model's own rate"
    assert read[0] >= 2 * 44_100
    for other in (recording(pitch=330), recording(words="Good night.")):
        assert not np.array_equal(speak(reference=other)[:7056], first[:7056])
    assert len(read) == 3
    engine.forget(recording().digest)
    assert np.array_equal(speak(reference=recording()), first)
    assert len(read) == 4, "nothing of it was kept"
    assert not np.array_equal(speak()[:7056], first[:7056])


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (recording(0.5), "0.5 s long, and this model takes from 1 to 50 s"),
        (recording(51), "51.0 s long"),
        (recording(words=" "), "no transcript"),
    ],
)
def test_a_recording_that_does_not_do_is_refused_before_the_first_sound(
    speak: Speak, reference: Any, says: str
) -> None:
    with pytest.raises(UnspeakableError, match=says) as caught:
        speak(reference=reference)
    assert caught.value.param == "voice"


@pytest.mark.parametrize("text", ["!?…", "。。。", "🎉"])
def test_a_text_without_a_word_is_refused(speak: Speak, text: str) -> None:
    with pytest.raises(UnspeakableError, match="nothing that can be spoken"):
        speak(text)


def test_a_voice_among_the_models_files_is_the_default(model_dir: Path) -> None:
    ada = recording(3)
    engine = VoxcpmEngine(model_dir, FAST, {"ada": ada})
    assert engine.voices == ("ada", "any")
    by_name = list(engine.synthesise(Utterance(text="Hello.", voice="ada", seed=1)))
    by_reference = list(engine.synthesise(Utterance(text="Hello.", voice="x", reference=ada, seed=1)))
    assert np.array_equal(np.concatenate(by_name), np.concatenate(by_reference))
    assert engine.warm_up().size


def test_a_text_beyond_the_models_context_is_spoken_in_parts(
    tmp_path: Path, speak: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package ends with an IndexError where text and sound have no room."""
    small = VoxcpmEngine(make_model(tmp_path, max_length=220), FAST, {})
    asked: list[tuple[str, dict[str, Any] | None]] = []
    generate = small._model.generate_with_prompt_cache_streaming

    def remembered(**asking: Any) -> Any:
        asked.append((asking["target_text"], asking["prompt_cache"]))
        return generate(**asking)

    monkeypatch.setattr(small._model, "generate_with_prompt_cache_streaming", remembered)
    text = f"{TEXT} The ferry left."
    assert speak(text, by=small).size > 0
    assert " ".join(part for part, _ in asked) == text
    assert max(len(part) for part, _ in asked) < 15
    voices = [cache and cache["prompt_text"] for _, cache in asked]
    assert voices == [None] + [asked[0][0]] * (len(asked) - 1), "it goes on in the voice that it made up"
    with pytest.raises(UnspeakableError, match="leaves no room"):
        speak(by=small, reference=recording(20, words="word " * 20))
    with pytest.raises(UnspeakableError, match="too long for this model"):
        speak("a" * 400, by=small)


def test_each_part_can_be_as_long_as_the_package_lets_it(
    tmp_path: Path, speak: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that never ends by itself: six patches a token and ten more, and no IndexError."""
    small = VoxcpmEngine(make_model(tmp_path, max_length=220), FAST, {})
    never = torch.nn.Linear(64, 2, bias=False)
    torch.nn.init.zeros_(never.weight)  # argmax is then 0: go on
    monkeypatch.setattr(small._model, "stop_head", never)
    tokens = sum(len(small._model.text_tokenizer(part)) for part in ("It rains.", "It rained."))
    for reference in (None, recording(3)):
        spoken = speak("It rains. It rained.", by=small, reference=reference)
        assert spoken.size / 7056 == 6 * tokens + 2 * 10


def test_what_is_dropped_while_it_is_made_is_not_kept() -> None:
    kept: Kept[int] = Kept(2)

    def dropped_meanwhile() -> int:
        kept.drop("ada")
        return 1

    assert kept.get("ada", dropped_meanwhile) == 1
    assert kept.get("ada", lambda: 2) == 2
    assert kept.get("ada", lambda: 3) == 2
    assert [kept.get(name, lambda: 4) for name in ("bob", "cy")] == [4, 4]
    assert kept.get("ada", lambda: 5) == 5, "the one that was not asked for longest went"
