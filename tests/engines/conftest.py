"""A VoxCPM with random weights, made as the catalog's own entry is made."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from serving.artifacts import verify
from serving.config import InferenceConfig, parse_inference
from serving.engines.base import Reference, Utterance
from serving.engines.on_torch.settings import read_settings
from serving.engines.voxcpm import random_model, random_tokenizer
from serving.engines.voxcpm.engine import VoxcpmEngine, VoxcpmSettings

ROOT = Path(__file__).parents[2]
sys.path.append(
    str(Path(__file__).with_name("fake_glm_tts"))
)  # its package `tn`, which no environment here has
ENTRY = ROOT / "models/voxcpm-tiny/1.0.0.yaml"
CONFIG = ENTRY.with_name("config.json")
FAST = read_settings(VoxcpmSettings, {"device": "cpu", "threads": 1, "steps": 2, "warmUpCharacters": [12]})
TEXT = "The harbour was quiet before the first ferry left."


def inference(**changes: Any) -> InferenceConfig:
    """The inference config of the catalog's entry, as a pod is given it."""
    entry = yaml.safe_load(ENTRY.read_text(encoding="utf-8"))
    kept = ("model", "version", "engine", "sampleRate", "languages", "license", "artifacts", "settings")
    fields = {key: entry[key] for key in kept} | {"revision": "voxcpm-tiny-1-0-0-abcdef", "slots": 1}
    return parse_inference(fields | changes)


def make_model(folder: Path, **changes: Any) -> Path:
    """The files of a model whose config differs by `changes`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(CONFIG.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    for name in ("model.safetensors", "audiovae.safetensors"):
        assert random_model.main(config, folder / name) == 0
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert random_tokenizer.main(config, folder / name) == 0
    return folder


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the catalog's entry, right to the last bit."""
    folder = make_model(tmp_path_factory.mktemp("voxcpm"))
    (folder / "config.json").write_bytes(CONFIG.read_bytes())
    verify(inference().artifacts, folder)
    return folder


@pytest.fixture(scope="session")
def engine(model_dir: Path) -> VoxcpmEngine:
    """One that the tests share, and leave as it was."""
    return VoxcpmEngine(model_dir, FAST, {})


Speak = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def speak(engine: VoxcpmEngine) -> Speak:
    """All samples of a text."""

    def speak_one(text: str = TEXT, by: VoxcpmEngine = engine, seed: int = 7, **more: Any) -> np.ndarray:
        utterance = Utterance(text=text, voice="any", seed=seed, **more)
        return np.concatenate(list(by.synthesise(utterance)))

    return speak_one


def recording(
    seconds: float = 2.0, *, pitch: float = 220.0, rate: int = 16_000, words: str = "Good day."
) -> Reference:
    """A voice that hums."""
    time = np.arange(int(seconds * rate)) / rate
    return Reference.of(0.3 * np.sin(2 * np.pi * pitch * time), sample_rate=rate, transcript=words)
