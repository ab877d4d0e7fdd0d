"""The VoxCPM engine: Chinese and English at 44.1 kHz in the voice of a recording, on torch."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from serving.config import InferenceConfig
from serving.engines.base import Capabilities, Cloning, Engine, Reference, Samples, Utterance
from serving.engines.model_voices import read_voices
from serving.engines.on_torch.device import choose
from serving.engines.on_torch.guard import guarded
from serving.engines.on_torch.one_thread import OneThread
from serving.engines.on_torch.settings import TorchSettings, read_settings
from serving.engines.on_torch.voices import Voices
from serving.engines.voxcpm.compiling import compile_if_faster
from serving.engines.voxcpm.loading import load_model
from serving.engines.voxcpm.prompts import Prompt, encode
from serving.engines.voxcpm.texts import Budget, parts_of

ANY_VOICE = "any"
"""The voice of no recording: the model makes one up, the same one for the same seed."""

_CLONING = Cloning(seconds=(1.0, 50.0))
_WARM_UP_SENTENCE = "The harbour was quiet before the first ferry left, 今天早上的海港非常安静. "
_STREAMED_PATCHES = 3  # the package decodes a patch together with those before it: so many in all


class VoxcpmSettings(TorchSettings):
    """What a catalog entry may say beyond that."""

    steps: Annotated[int, Field(ge=1, le=100)] = 10
    """Of the diffusion, for each patch of sound."""
    guidance: Annotated[float, Field(ge=0, le=10)] = 2.0
    """How closely the diffusion follows the text."""


class VoxcpmEngine:
    """One model, one text at a time: its key-value caches hold the text that is being spoken."""

    capabilities = Capabilities(languages=("zh", "en"), cloning=_CLONING, interleaved=False)
    speeds = (1.0, 1.0)

    def __init__(self, folder: Path, settings: VoxcpmSettings, voices: dict[str, Reference]) -> None:
        self._settings = settings
        self._thread = OneThread("voxcpm")
        self._model = self._thread.run(lambda: load_model(folder, choose(settings)))
        self._voices = Voices(voices, _CLONING, lambda reference: encode(self._model, reference))
        self._budget = Budget.of(self._model)
        self.sample_rate = int(self._model.sample_rate)
        self.voices = (*voices, ANY_VOICE)

    def warm_up(self) -> Samples:
        """See Engine.warm_up; speaks a text of each length that the settings name."""
        if self._settings.compile:
            self._thread.run(lambda: compile_if_faster(self._model, self._timed))
        spoken = [
            self._say(length, voice)
            for length in self._settings.warm_up_characters
            for voice in dict.fromkeys((self.voices[0], ANY_VOICE))
        ]
        return np.concatenate(spoken)

    def _timed(self) -> float:
        """Seconds for the longest text of the warm-up. To be called in the model's thread."""
        text = _warm_up_text(max(self._settings.warm_up_characters))
        began = time.perf_counter()
        for _ in self._chunks(Utterance(text=text, voice=ANY_VOICE, seed=0)):
            pass
        return time.perf_counter() - began

    def _say(self, characters: int, voice: str) -> Samples:
        utterance = Utterance(text=_warm_up_text(characters), voice=voice, seed=0)
        return np.concatenate(list(self.synthesise(utterance)))

    def synthesise(self, utterance: Utterance) -> Generator[Samples, None, None]:
        """See Engine.synthesise; a chunk is a patch of sound, 160 ms with VoxCPM 1.5."""
        return self._thread.iterate(lambda: guarded(self._chunks(utterance), release=self._voices.clear))

    def forget(self, digest: str) -> None:
        """See Engine.forget."""
        self._voices.drop(digest)

    def _chunks(self, utterance: Utterance) -> Generator[Samples, None, None]:
        prompt = self._voices.prompt(utterance)
        torch.manual_seed(secrets.randbits(63) if utterance.seed is None else utterance.seed)
        for text in parts_of(utterance.text, self._model.text_tokenizer, self._budget, prompt):
            features: list[torch.Tensor] = []
            yield from self._spoken(text, prompt, features)
            if prompt is None:
                # What follows goes on in the voice that was made up for the beginning.
                prompt = Prompt(text=text, features=torch.cat(features, dim=1).squeeze(0).float().cpu())

    def _spoken(
        self, text: str, prompt: Prompt | None, features: list[torch.Tensor]
    ) -> Generator[Samples, None, None]:
        """One part of a text; `features` is filled with the patches of its sound."""
        stream = self._model.generate_with_prompt_cache_streaming(
            target_text=text,
            prompt_cache=prompt.as_cache() if prompt else None,
            max_len=self._budget.patches_for(text, self._model.text_tokenizer, prompt),
            inference_timesteps=self._settings.steps,
            cfg_value=self._settings.guidance,
            streaming_prefix_len=_STREAMED_PATCHES,
        )
        try:
            for audio, _, patches in stream:
                features.append(patches[-1])
                samples: Samples = audio.reshape(-1).float().numpy()
                yield np.clip(samples, -1.0, 1.0)
        finally:
            stream.close()


def _warm_up_text(characters: int) -> str:
    return (_WARM_UP_SENTENCE * (1 + characters // len(_WARM_UP_SENTENCE)))[:characters]


def load(model_dir: Path, config: InferenceConfig) -> Engine:
    """Loads the model of the revision's files."""
    settings = read_settings(VoxcpmSettings, config.settings)
    return VoxcpmEngine(model_dir, settings, read_voices(config.artifacts, model_dir))
