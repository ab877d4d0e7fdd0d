"""A VoxCPM model from its files, and from nothing else.

The package's own loader takes what fits of a file and leaves the rest random: a wrong file would speak noise.
Here every parameter must be in the files, and every tensor of the files must be one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

# Before the libraries are imported: nothing is fetched, and no bar is drawn for each text.
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TQDM_DISABLE="1")

import torch
from safetensors.torch import load_file
from transformers import LlamaTokenizerFast
from voxcpm.model.voxcpm import VoxCPMConfig, VoxCPMModel
from voxcpm.modules.audiovae import AudioVAE

from serving.engines.on_torch.device import Device

CONFIG, WEIGHTS = "config.json", "model.safetensors"
VAE_WEIGHTS = ("audiovae.safetensors", "audiovae.pth")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")

_ARCHITECTURE = "voxcpm"
_NAMED = 3  # of the keys that are wrong


def load_model(folder: Path, device: Device) -> VoxCPMModel:
    """The model of the files in `folder`, on its device. Raises ValueError for files that are not its own."""
    vae_file = _present(folder)
    model = build(folder, read_config(folder / CONFIG, device))
    model.to(device.dtype)
    model.audio_vae.to(torch.float32)
    state = _tensors(folder / WEIGHTS)
    state |= {f"audio_vae.{key}": value for key, value in _tensors(vae_file).items()}
    check_keys(
        {key: tuple(value.shape) for key, value in state.items()},
        {key: tuple(value.shape) for key, value in model.state_dict().items()},
        files=f"{WEIGHTS} and {vae_file.name}",
    )
    model.load_state_dict(state, strict=True)
    return model.to(device.name).eval()


def build(folder: Path, config: VoxCPMConfig) -> VoxCPMModel:
    """The model before it has its weights, with the tokenizer of `folder`."""
    vae = AudioVAE(config=config.audio_vae_config) if config.audio_vae_config else AudioVAE()
    tokenizer = LlamaTokenizerFast.from_pretrained(str(folder), local_files_only=True)
    return VoxCPMModel(config, tokenizer, vae, device=config.device)


def _present(folder: Path) -> Path:
    """The file with the weights of the audio codec. Raises ValueError unless all files are there."""
    lacking = [name for name in (CONFIG, WEIGHTS, *TOKENIZER) if not (folder / name).is_file()]
    found = [folder / name for name in VAE_WEIGHTS if (folder / name).is_file()]
    if not found:
        lacking.append(" or ".join(VAE_WEIGHTS))
    if lacking:
        raise ValueError(f"the model lacks {', '.join(lacking)}; name them in its catalog entry")
    return found[0]


def read_config(file: Path, device: Device) -> VoxCPMConfig:
    """The config for that device. Raises ValueError for one of another kind of model."""
    fields: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    architecture = str(fields.get("architecture", _ARCHITECTURE)).lower()
    if architecture != _ARCHITECTURE:
        raise ValueError(
            f"{file.name} says the architecture {architecture}, and this engine speaks with {_ARCHITECTURE} "
            "(VoxCPM 0.5 and 1.5)"
        )
    fields |= {"device": device.name, "dtype": str(device.dtype).removeprefix("torch.")}
    return VoxCPMConfig.model_validate(fields)


def _tensors(file: Path) -> dict[str, torch.Tensor]:
    if file.suffix == ".safetensors":
        return dict(load_file(str(file)))
    held = torch.load(file, map_location="cpu", weights_only=True)
    return dict(held.get("state_dict", held))


def check_keys(given: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]], *, files: str) -> None:
    """Raises ValueError unless `given`, names and shapes of tensors, is exactly what is `wanted`."""
    wrongs = [
        (f"lack {{}} of {len(wanted)} parameters", sorted(wanted.keys() - given.keys())),
        ("have {} tensors that this model has not", sorted(given.keys() - wanted.keys())),
        (
            "have {} tensors of another shape",
            sorted(key for key in wanted.keys() & given.keys() if wanted[key] != given[key]),
        ),
    ]
    said = [
        f"{what.format(len(keys))} ({', '.join(keys[:_NAMED])}{', ...' if keys[_NAMED:] else ''})"
        for what, keys in wrongs
        if keys
    ]
    if said:
        raise ValueError(f"{files} are not of the model that {CONFIG} describes: they {' and '.join(said)}")
