"""What VoxCPM is to go on from: the words and the sound of a voice."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torchaudio.functional
from voxcpm.model.voxcpm import VoxCPMModel

from serving.engines.reference import Reference


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """`features`: the sound in the model's own numbers, shape [patches, patch size, dimensions], on the
    processor; some 40 KB for a second."""

    text: str
    features: torch.Tensor

    @property
    def patches(self) -> int:
        """How many of the model's steps the sound is long."""
        return int(self.features.size(0))

    def as_cache(self) -> dict[str, object]:
        """As the package calls and takes it."""
        return {"prompt_text": self.text, "audio_feat": self.features}


def encode(model: VoxCPMModel, reference: Reference) -> Prompt:
    """The prompt of a recording.

    The package's own way would have torchaudio read a file, for which it needs FFmpeg's libraries of the
    system.
    """
    with torch.inference_mode():
        audio = torch.from_numpy(reference.samples.copy()).unsqueeze(0)
        audio = torchaudio.functional.resample(audio, reference.sample_rate, model.sample_rate)
        patch = model.patch_size * model.chunk_size
        # Silence in front, so that the last patch, on which the speech follows, is full of sound.
        audio = torch.nn.functional.pad(audio, (-audio.size(1) % patch, 0))
        latent = model.audio_vae.encode(audio.to(model.device), model.sample_rate).cpu()
        features = latent.view(model.audio_vae.latent_dim, -1, model.patch_size).permute(1, 2, 0)
    return Prompt(text=reference.transcript, features=features)
