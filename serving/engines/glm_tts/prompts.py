"""What GLM-TTS is to go on from: the words and the sound of a voice, in three forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torchaudio.functional

from serving.engines.glm_tts.upstream import SAMPLE_RATE, Upstream
from serving.engines.reference import Reference

_EMBEDDING_RATE = 16_000  # hertz


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """`text_token` and `speech_token` have the shape [1, tokens], `features` [1, frames, 80] and `embedding`
    [1, 192]."""

    text: str
    text_token: torch.Tensor
    speech_token: torch.Tensor
    features: torch.Tensor
    embedding: torch.Tensor

    def new_cache(self) -> dict[str, Any]:
        """What a text begins with; speaking appends to it, so that each text has one of its own."""
        return {
            "cache_text": [self.text],
            "cache_text_token": [self.text_token],
            "cache_speech_token": [self.speech_token[0].tolist()],
            "use_cache": True,
        }


def encode(upstream: Upstream, reference: Reference) -> Prompt:
    """The prompt of a recording.

    Samples are handed over, not a file: reading one, the code would need FFmpeg's libraries of the system.
    """
    frontend, device = upstream.frontend, upstream.frontend.device
    with torch.no_grad():
        text = upstream.text_frontend.text_normalize(reference.transcript)
        audio = torch.from_numpy(reference.samples.copy()).unsqueeze(0)
        tokens = frontend._extract_speech_token([(audio, reference.sample_rate)])
        speech = torchaudio.functional.resample(audio, reference.sample_rate, SAMPLE_RATE)
        spoken = torchaudio.functional.resample(audio, reference.sample_rate, _EMBEDDING_RATE)
        return Prompt(
            text=text,
            text_token=frontend._extract_text_token(f"{text} "),
            speech_token=torch.as_tensor(tokens, dtype=torch.int32).reshape(1, -1).to(device),
            features=frontend._extract_speech_feat(speech.to(device), sample_rate=SAMPLE_RATE),
            embedding=frontend._extract_spk_embedding(spoken.to(device)),
        )
