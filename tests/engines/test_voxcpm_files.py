"""Files that are not a model's own end the loading with a sentence; the package itself would speak noise."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from serving.engines.base import load_engine
from serving.engines.voxcpm.engine import VoxcpmEngine
from serving.errors import EngineError
from tests.engines.conftest import FAST, Speak, inference

Spoil = Callable[[Path], None]


def without(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def tensors(name: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        held = load_file(folder / name)
        change(held)
        save_file(held, folder / name)

    return spoil


def config(**changes: object) -> Spoil:
    def spoil(folder: Path) -> None:
        fields = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(fields | changes))

    return spoil


WRONG: list[tuple[Spoil, str]] = [
    (without("model.safetensors"), r"the model lacks model\.safetensors; name them in its catalog entry"),
    (without("audiovae.safetensors"), r"lacks audiovae\.safetensors or audiovae\.pth"),
    (without("tokenizer.json"), r"lacks tokenizer\.json"),
    (
        tensors("model.safetensors", lambda held: held.pop("stop_head.weight")),
        r"lack 1 of \d+ parameters \(stop_head\.weight\)",
    ),
    (
        tensors("audiovae.safetensors", lambda held: held.clear()),
        r"lack \d+ of \d+ parameters \(audio_vae\.decoder\.[^)]+, \.\.\.\)",
    ),
    (
        tensors("model.safetensors", lambda held: held.update({"lora_A": torch.ones(1)})),
        r"have 1 tensors that this model has not \(lora_A\)",
    ),
    (
        tensors("model.safetensors", lambda held: held.update({"stop_head.weight": torch.ones(3, 64)})),
        r"have 1 tensors of another shape \(stop_head\.weight\)",
    ),
    (config(residual_lm_num_layers=2), r"lack \d+ of \d+ parameters \(residual_lm\.layers\.1"),
    (config(architecture="voxcpm2"), "the architecture voxcpm2, and this engine speaks with voxcpm"),
]


@pytest.mark.parametrize(("spoil", "says"), WRONG)
def test_a_wrong_file_is_seen(model_dir: Path, tmp_path: Path, spoil: Spoil, says: str) -> None:
    for file in model_dir.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    spoil(tmp_path)
    with pytest.raises(EngineError, match=says):
        load_engine(inference(), tmp_path)


def test_the_codec_may_be_a_checkpoint_of_torch(model_dir: Path, tmp_path: Path, speak: Speak) -> None:
    for file in model_dir.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    held = load_file(tmp_path / "audiovae.safetensors")
    (tmp_path / "audiovae.safetensors").unlink()
    torch.save({"state_dict": held}, tmp_path / "audiovae.pth")
    assert speak(by=VoxcpmEngine(tmp_path, FAST, {})).tolist() == speak().tolist()
