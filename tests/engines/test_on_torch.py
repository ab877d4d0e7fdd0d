"""What a GPU asks for, with torch's own errors; no GPU is needed to raise them."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import requests
import torch
import yaml

from serving.engines.base import Utterance, load_engine
from serving.engines.on_torch import device
from serving.engines.on_torch.guard import guarded
from serving.engines.on_torch.one_thread import OneThread
from serving.engines.on_torch.settings import TorchSettings, read_settings
from serving.engines.voxcpm.engine import VoxcpmEngine
from serving.errors import EngineError, ExhaustedError
from tests.engines.conftest import ENTRY, FAST, ROOT, Speak, inference, recording
from tests.ports import free_port

GIB = 1 << 30


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"device": "gpu"},
            r"settings\.device of its catalog entry is wrong: input should be 'cuda' or 'cpu'",
        ),
        ({"step": 10}, r"settings\.step .* extra inputs are not permitted"),
        ({"steps": 0}, r"settings\.steps .* greater than or equal to 1"),
        ({"warmUpCharacters": []}, r"settings\.warmUpCharacters .* at least 1 item"),
        ({"device": "cuda"}, r"is to run on a GPU, and torch 2\.11\.0\S* sees none"),
    ],
)
def test_what_the_entry_says_wrongly_ends_the_loading(
    model_dir: Path, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(EngineError, match=says):
        load_engine(inference(settings={"device": "cpu", **settings}), model_dir)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A GPU of 24 GiB as torch tells of it; what is asked of it is written down."""
    asked: dict[str, Any] = {"native": True}
    cuda = {
        "is_available": lambda: True,
        "get_device_properties": lambda index: SimpleNamespace(name="L4", total_memory=24 * GIB),
        "is_bf16_supported": lambda including_emulation: asked["native"] and not including_emulation,
        "set_per_process_memory_fraction": lambda fraction, index: asked.update(
            fraction=fraction, index=index
        ),
    }
    for name, function in cuda.items():
        monkeypatch.setattr(torch.cuda, name, function)
    return asked


def test_the_numbers_are_those_that_the_gpu_is_good_at(gpu: dict[str, Any]) -> None:
    settings = read_settings(TorchSettings, {})
    assert device.choose(settings) == device.Device(name="cuda", dtype=torch.bfloat16)
    gpu["native"] = False
    assert device.choose(settings).dtype == torch.float32
    assert "fraction" not in gpu


def test_the_memory_is_bounded(gpu: dict[str, Any]) -> None:
    device.choose(read_settings(TorchSettings, {"memoryGiB": 6}))
    assert (gpu["fraction"], gpu["index"]) == (0.25, 0)
    with pytest.raises(ValueError, match=r"memoryGiB is 40, and the GPU L4 has 24\.0 GiB"):
        device.choose(read_settings(TorchSettings, {"memoryGiB": 40}))


def out_of_memory(engine: VoxcpmEngine, monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """The next text finds no memory after so many patches of sound."""
    decode, left = engine._model.audio_vae.decode, [after]

    def decoded(latent: torch.Tensor) -> torch.Tensor:
        left[0] -= 1
        if left[0] == -1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return decode(latent)

    monkeypatch.setattr(engine._model.audio_vae, "decode", decoded)


@pytest.mark.parametrize("after", [0, 2])
def test_out_of_memory_is_said_and_the_next_text_is_spoken(
    engine: VoxcpmEngine, speak: Speak, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    whole = speak(reference=recording())
    out_of_memory(engine, monkeypatch, after=after)
    chunks = engine.synthesise(Utterance(text="Once more, please.", voice="any", seed=7))
    assert len([next(chunks) for _ in range(after)]) == after
    with pytest.raises(ExhaustedError, match="no memory left for this request"):
        next(chunks)
    assert not engine._voices._kept._values, "what can be made again is given up"
    assert np.array_equal(speak(reference=recording()), whole)


def test_a_gpu_that_is_lost_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))

    def lost() -> Generator[int, None, None]:
        yield 1
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    chunks = guarded(lost(), release=lambda: None)
    assert next(chunks) == 1
    with pytest.raises(torch.AcceleratorError):
        next(chunks)
    assert sent == [(os.getpid(), signal.SIGTERM)]


def test_what_is_closed_half_way_is_closed_in_the_models_thread() -> None:
    thread, told = OneThread("test"), []

    def work() -> Generator[int, None, None]:
        import threading

        try:
            for number in range(3):
                told.append(threading.current_thread().name)
                yield number
        finally:
            told.append(threading.current_thread().name)

    assert list(thread.iterate(work)) == [0, 1, 2]
    begun = thread.iterate(work)
    assert next(begun) == 0
    begun.close()
    assert len(told) == 4 + 2
    assert len(set(told)) == 1
    assert told[0].startswith("test")


@pytest.mark.parametrize(("factor", "kept"), [(0.5, True), (0.99, False), (2.0, False), (None, False)])
def test_a_compiled_model_is_kept_where_it_is_faster(
    model_dir: Path, speak: Speak, monkeypatch: pytest.MonkeyPatch, factor: float | None, kept: bool
) -> None:
    """`factor`: the compiled model's time, of the plain one's; None: it does not run."""
    engine = VoxcpmEngine(model_dir, FAST.model_copy(update={"compile": True}), {})
    model, plain = engine._model, type(engine._model.base_lm).forward_step
    encoder, estimator = model.feat_encoder, model.feat_decoder.estimator

    class Compiled(torch.nn.Module):
        def __init__(self, of: torch.nn.Module) -> None:
            super().__init__()
            self._orig_mod = of

        def forward(self, *given: Any) -> Any:
            if factor is None:
                raise RuntimeError("Failed to find C compiler.\nPlease specify via CC.")
            return self._orig_mod(*given)

    def optimize() -> None:
        """As the package does it on a GPU."""
        model.base_lm.forward_step = lambda *given: plain(model.base_lm, *given)
        model._feat_encoder_raw = encoder
        model.feat_encoder = Compiled(encoder)
        model.feat_decoder.estimator = Compiled(estimator)

    monkeypatch.setattr(model, "optimize", optimize)
    spoken = engine._timed

    def timed() -> float:
        spoken()
        return 1.0 if model.feat_encoder is encoder else factor or 0.0

    monkeypatch.setattr(engine, "_timed", timed)
    assert engine.warm_up().size
    assert ("forward_step" in model.base_lm.__dict__) is kept
    assert (model.feat_encoder is encoder) is not kept
    assert (model.feat_decoder.estimator is estimator) is not kept
    assert hasattr(model, "_feat_encoder_raw") is kept
    assert np.array_equal(speak(by=engine), speak())


def test_compiling_is_left_alone_where_nobody_asks_for_it(
    engine: VoxcpmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine._model, "optimize", lambda: pytest.fail("compiled"))
    assert engine.warm_up().size


def test_a_server_speaks_answers_503_without_memory_and_ends(model_dir: Path, tmp_path: Path) -> None:
    """The real process, whose model runs out of memory at the text of a certain length."""
    entry = yaml.safe_load(ENTRY.read_text(encoding="utf-8"))
    fields = {**entry, "revision": "voxcpm-tiny-1-0-0-abcdef", "slots": 1}
    fields["settings"] = {"device": "cpu", "threads": 1, "steps": 2, "warmUpCharacters": [12]}
    (tmp_path / "inference.json").write_text(json.dumps(fields))
    port = free_port()
    environ = os.environ | {
        "TTS_CONFIG": str(tmp_path / "inference.json"),
        "TTS_MODEL_DIR": str(model_dir),
        "TTS_BIND": "127.0.0.1",
        "TTS_PORT": str(port),
    }
    program = (
        "import sys, torch\n"
        "from serving.engines.voxcpm.texts import Budget\n"
        "room = Budget.patches_for\n"
        "def patches_for(self, text, *more):\n"
        "    if text == 'Too much.': raise torch.OutOfMemoryError('CUDA out of memory.')\n"
        "    return room(self, text, *more)\n"
        "Budget.patches_for = patches_for\n"
        "from serving.__main__ import main\n"
        "sys.exit(main())"
    )
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, env=environ, stdout=log, stderr=log
        )
    try:
        _wait_ready(f"http://127.0.0.1:{port}", server)
        answer = _ask(port, "Good morning, 早上好。")
        assert (answer.status_code, answer.headers["x-tts-sample-rate"]) == (200, "44100")
        assert len(answer.content) % (2 * 7056) == 0
        assert answer.content
        refused = _ask(port, "Too much.")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "out_of_memory")
        assert refused.headers["retry-after"] == "1"
        assert _ask(port, "Good morning, 早上好。").content == answer.content
        cloned = _ask(port, "Good morning, 早上好。", reference=_uploaded())
        assert cloned.status_code == 200, cloned.text
        assert cloned.content != answer.content
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0, (tmp_path / "log").read_text()
    finally:
        server.kill()


def _uploaded() -> dict[str, Any]:
    """A recording as a caller sends it along."""
    samples = recording(3).samples
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 16_000, 0, "NONE", ""))
        writer.writeframes((samples * 32767).astype("<i2").tobytes())
    audio = base64.b64encode(file.getvalue()).decode()
    return {"audio": audio, "transcript": "Good day.", "consent": True}


def _ask(port: int, text: str, **more: Any) -> requests.Response:
    body = {"model": "tts", "input": text, "response_format": "pcm", "seed": 7, **more}
    return requests.post(f"http://127.0.0.1:{port}/v1/audio/speech", json=body, timeout=60)


def _wait_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended"
        try:
            if requests.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise AssertionError("not ready in time")
