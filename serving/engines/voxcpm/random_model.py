"""The weights of a VoxCPM that has learnt nothing: `random_model.py CONFIG.json OUTPUT`.

OUTPUT is called as one of a model's two files of weights. They are uniform and depend on the config alone,
made by numpy, whose numbers are the same on every machine: so the catalog can name their sha256. Such a model
speaks noise, by the same code as one that speaks.
"""

from __future__ import annotations

import math
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from serving.engines.on_torch.device import Device
from serving.engines.voxcpm import loading, random_tokenizer

_LOUDNESS = 0.002  # the gain of the last layer of the codec: noise at the level of speech


def main(config: Path, output: Path) -> int:
    """Writes the file; returns the exit code."""
    if output.name not in (loading.WEIGHTS, loading.VAE_WEIGHTS[0]):
        print(f"{output.name} is no file of weights of a VoxCPM model", file=sys.stderr)
        return 1
    save_file(dict(_parameters(config, codec=output.name != loading.WEIGHTS)), str(output))
    return 0


def _parameters(config: Path, *, codec: bool) -> Iterator[tuple[str, torch.Tensor]]:
    """Those of the audio codec, under its own names, or all others."""
    prefix = "audio_vae."
    for key, value in _model(config).state_dict().items():
        if key.startswith(prefix) is codec:
            yield key.removeprefix(prefix), _random(key, tuple(value.shape))


def _random(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Uniform within what keeps a signal's size; norms, scales and the slopes of the codec's snakes are 1."""
    if key.endswith(("weight_g", "alpha")) or len(shape) < 2:
        last = key.startswith("audio_vae.decoder") and shape == (1, 1, 1)
        return torch.full(shape, _LOUDNESS if last else 0.0 if key.endswith("bias") else 1.0)
    if key == "stop_head.weight":
        # Nearly always to end: what is random otherwise goes on for a minute now and then.
        return torch.tensor([[0.0], [1.0]]).expand(shape).contiguous()
    bits = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
    reach = math.sqrt(3 / math.prod(shape[1:]))
    return torch.from_numpy((bits.random(shape, dtype=np.float32) * 2 - 1) * np.float32(reach))


def _model(config: Path) -> torch.nn.Module:
    """Only its shapes are wanted, for which any tokenizer does."""
    device = Device(name="cpu", dtype=torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        for name in loading.TOKENIZER:
            random_tokenizer.main(config, Path(folder, name))
        return loading.build(Path(folder), loading.read_config(config, device))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
