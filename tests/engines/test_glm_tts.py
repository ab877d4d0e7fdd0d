"""The adapter to GLM-TTS, against a fake of its code; what needs CUDA there has not been run."""

import hashlib
import os
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from serving.artifacts import Artifact
from serving.engines.base import Engine, Utterance, load_engine
from serving.errors import EngineError, ExhaustedError, UnspeakableError
from tests.engines.conftest import inference, recording

FAKE = Path(__file__).with_name("fake_glm_tts")
HERE = Path.cwd()
LONG = "今天早上的海港非常安静，第一班渡轮还没有出发，只有几只海鸥站在旧石墙上看着太阳慢慢升起来。"


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as the model has them, of which the fake reads the language model alone."""
    folder = tmp_path_factory.mktemp("glm")
    for path in ("vq32k-phoneme-tokenizer/t.json", "speech_tokenizer/c.json", "flow/flow.pt", "hift/hift.pt"):
        (folder / "ckpt" / path).parent.mkdir(parents=True)
        (folder / "ckpt" / path).write_text("{}")
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=32, **small)).save_pretrained(folder / "ckpt/llm")
    (folder / "voices").mkdir()
    (folder / "voices/house.txt").write_text("你好，今天天气很好。", encoding="utf-8")
    with wave.open(str(folder / "voices/house.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((recording(4).samples * 32767).astype("<i2").tobytes())
    return folder


def config(folder: Path, **changes: Any) -> Any:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    artifacts = [
        {
            "path": file.relative_to(folder).as_posix(),
            "size": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in files
    ]
    given = {"engine": "glm_tts", "sampleRate": 24_000, "artifacts": artifacts, "settings": {}, **changes}
    return inference(**given)


@pytest.fixture(autouse=True)
def process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the engine does to its process is undone; and torch sees a GPU, which the fake does not use."""
    monkeypatch.setenv("GLM_TTS_HOME", str(FAKE))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    properties = SimpleNamespace(name="L4", total_memory=24 << 30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    before = sys.path.copy()
    yield
    os.chdir(HERE)
    sys.path[:] = before
    sys.modules.pop("glmtts_inference", None)


@pytest.fixture
def engine(model_dir: Path) -> Engine:
    found = load_engine(config(model_dir), model_dir)
    calls().clear()
    return found


def calls() -> list[dict[str, Any]]:
    return sys.modules["glmtts_inference"].calls  # type: ignore[no-any-return]


def speak(engine: Engine, text: str = "你好。", **more: Any) -> list[np.ndarray]:
    return list(engine.synthesise(Utterance(**{"text": text, "voice": "house", "seed": 7, **more})))


def test_it_is_loaded_and_says_what_it_can(engine: Engine) -> None:
    can = engine.capabilities
    assert (engine.sample_rate, engine.voices, can.languages) == (24_000, ("house",), ("zh", "en"))
    assert can.cloning is not None
    assert (can.cloning.seconds, can.cloning.emotion) == ((3.0, 10.0), True)
    assert (can.phonemes, can.interleaved, can.emotion) == ("pinyin", False, False)


def test_the_normaliser_is_that_of_the_image(engine: Engine) -> None:
    """The code would build it anew, for two minutes, where no pod may write."""
    from tn.chinese import normalizer

    from serving.engines.glm_tts.normaliser import as_built

    assert normalizer.made[-1] == (False, False, False, True)
    with as_built(), pytest.raises(ValueError, match="asks for a normaliser of"):
        normalizer.Normalizer(remove_erhua=True, full_to_half=True, remove_interjections=False)


def test_a_text_is_streamed_segment_by_segment_each_with_what_was_said_before(engine: Engine) -> None:
    chunks = engine.synthesise(Utterance(text=LONG * 2, voice="house", seed=7))
    assert next(chunks).shape == (24_000,)
    assert len(calls()) == 1, "nothing is made before it is asked for"
    assert len(list(chunks)) == 1
    first, second = calls()
    assert first["before"] == ["你好，今天天气很好。"]
    assert second["before"] == [*first["before"], first["text"]]


def test_texts_leave_nothing_to_one_another(engine: Engine) -> None:
    once = speak(engine)
    begun = engine.synthesise(Utterance(text=LONG * 2, voice="house", seed=1))
    next(begun)
    begun.close()
    again = speak(engine)
    assert np.array_equal(np.concatenate(once), np.concatenate(again))
    assert calls()[0]["before"] == calls()[-1]["before"]


def test_seeds_are_those_that_numpy_takes(engine: Engine) -> None:
    big = (1 << 63) - 1
    assert np.array_equal(speak(engine, seed=big)[0], speak(engine, seed=big)[0])
    assert not np.array_equal(speak(engine, seed=big)[0], speak(engine, seed=8)[0])
    speak(engine, seed=None)
    assert all(0 <= call["seed"] < 1 << 32 for call in calls())


def test_a_recording_gives_voice_and_mood(engine: Engine) -> None:
    loud, low = recording(5), recording(5, words="再见。")
    quiet = type(low).of(low.samples * 0.1, sample_rate=low.sample_rate, transcript="再见。")
    levels = [float(np.abs(speak(engine, reference=each)[0]).max()) for each in (loud, low, quiet)]
    assert levels[0] == pytest.approx(levels[1], abs=0.01)
    assert levels[2] < levels[0] / 5
    assert calls()[-1]["before"] == ["再见。"]


@pytest.mark.parametrize(
    ("reference", "says"),
    [(recording(2.9), "takes from 3 to 10 s"), (recording(5, words=""), "no transcript")],
)
def test_a_recording_that_does_not_do_is_refused(engine: Engine, reference: Any, says: str) -> None:
    with pytest.raises(UnspeakableError, match=says):
        speak(engine, reference=reference)
    assert not calls()


def test_a_polyphone_is_spoken_as_asked_and_only_in_that_text(engine: Engine) -> None:
    speak(engine, "这个包很重，重庆很远。", phonemes={"重": "zhong4", "重庆": "chong2 qing4"})
    assert calls()[-1]["text"] == "这个包很<|ZH|><|ONG4|>，<|CH|><|ONG2|><|Q|><|ING4|>很远。"
    begun = engine.synthesise(Utterance(text="很重。", voice="house", phonemes={"重": "chong2"}))
    assert next(begun).size
    begun.close()
    speak(engine, "很重。")
    assert calls()[-1]["text"] == "很重。"
    assert calls()[-1]["signs"] is False
    speak(engine, "断弦，很重。", phonemes={"很": "hen3"})
    assert calls()[-1]["text"] == "断<|X|><|IAN2|>，<|H|><|EN3|>重。", "what the code knows itself stays"


@pytest.mark.parametrize(
    ("pinyin", "signs"),
    [
        ("zhi1", "<|ZH|><|III1|>"),
        ("zi3", "<|Z|><|II3|>"),
        ("yi1", "<|I1|>"),
        ("lü4", "<|L|><|V4|>"),
        ("lv4", "<|L|><|V4|>"),
        ("lu:4", "<|L|><|V4|>"),
        ("ju2", "<|J|><|V2|>"),
        ("liu2", "<|L|><|IOU2|>"),
        ("cui1", "<|C|><|UEI1|>"),
        ("ma5", "<|M|><|A5|>"),
    ],
)
def test_pinyin_becomes_the_models_own_signs(engine: Engine, pinyin: str, signs: str) -> None:
    """As the code makes them of a dictionary's pinyin (衰 is cui1, `<|C|><|UEI1|>`, in its own)."""
    speak(engine, "重。", phonemes={"重": pinyin})
    assert calls()[-1]["text"] == f"{signs}。"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"Pulumi": "pu1"}, "pronunciations of Chinese words only"),
        ({"重庆": "chong2"}, "has 1 syllables for 2 characters"),
        ({"重": "zhong"}, "no syllable of pinyin"),
        ({"重": "ʈʂʊŋ"}, "no syllable of pinyin"),
        ({"重": "zhong6"}, "no syllable of pinyin"),
        ({"重": "zhxq4"}, "no syllable of pinyin"),
    ],
)
def test_what_is_no_pinyin_is_refused(engine: Engine, words: dict[str, str], says: str) -> None:
    with pytest.raises(UnspeakableError, match=says) as caught:
        speak(engine, "很重。", phonemes=words)
    assert caught.value.param == "phonemes"


def test_a_text_without_a_word_is_refused(engine: Engine) -> None:
    with pytest.raises(UnspeakableError, match="nothing that can be spoken"):
        speak(engine, "。。")


def test_out_of_memory_is_said_and_the_next_text_is_spoken(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = speak(engine)
    frontend = engine._upstream.frontend  # type: ignore[attr-defined]

    def none_left(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with monkeypatch.context() as patch:
        patch.setattr(frontend, "_extract_text_token", none_left)
        with pytest.raises(ExhaustedError):
            speak(engine, "再来一次。")
    assert np.array_equal(speak(engine)[0], whole[0])


def test_a_gpu_is_needed(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match=r"settings\.device .* input should be 'cuda'"):
        load_engine(config(model_dir, settings={"device": "cpu"}), model_dir)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineError, match="sees none"):
        load_engine(config(model_dir), model_dir)


def test_the_code_and_a_voice_must_be_there(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts = [each for each in config(model_dir).artifacts if not each.path.startswith("voices/")]
    fields = [{"path": each.path, "size": each.size, "sha256": each.sha256} for each in artifacts]
    with pytest.raises(EngineError, match=r"its catalog entry names none; add voices/<name>\.wav"):
        load_engine(config(model_dir, artifacts=fields), model_dir)
    monkeypatch.setenv("GLM_TTS_HOME", "/nowhere")
    with pytest.raises(EngineError, match="the code of GLM-TTS is not at /nowhere"):
        load_engine(config(model_dir), model_dir)


def test_a_file_that_nobody_reviewed_is_refused(model_dir: Path) -> None:
    """Modules beside the tokenizer and pickles are run."""
    given = config(model_dir)
    stray = model_dir / "ckpt/vq32k-phoneme-tokenizer/tokenization.py"
    stray.write_text("raise SystemExit")
    try:
        with pytest.raises(EngineError, match=r"tokenizer/tokenization\.py is among its files"):
            load_engine(given, model_dir)
    finally:
        stray.unlink()


def test_a_language_model_that_is_not_whole_is_refused(model_dir: Path) -> None:
    """transformers would fill it with random numbers."""
    file = model_dir / "ckpt/llm/model.safetensors"
    whole = file.read_bytes()
    held = load_file(file)
    held.pop("model.norm.weight")
    save_file(held, file, metadata={"format": "pt"})
    try:
        with pytest.raises(EngineError, match=r"1 missing keys, such as model\.norm\.weight"):
            load_engine(config(model_dir), model_dir)
    finally:
        file.write_bytes(whole)
    assert "from_pretrained" not in LlamaForCausalLM.__dict__


def test_a_voice_that_cannot_be_read_is_named(model_dir: Path, tmp_path: Path) -> None:
    from serving.engines.model_voices import read_voices

    (tmp_path / "voices").mkdir()
    artifacts = [Artifact(path="voices/ada.wav", size=1, sha256="0" * 64)]
    with pytest.raises(ValueError, match="the voice ada cannot be read"):
        read_voices(artifacts, tmp_path)
    (tmp_path / "voices/ada.txt").write_text("Hi.")
    with wave.open(str(tmp_path / "voices/ada.wav"), "wb") as file:
        file.setparams((2, 2, 16_000, 0, "NONE", ""))
        file.writeframes(b"\0" * 8)
    with pytest.raises(ValueError, match="2 channels of 16 bits; make it mono"):
        read_voices(artifacts, tmp_path)
