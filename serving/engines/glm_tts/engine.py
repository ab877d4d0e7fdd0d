"""The GLM-TTS engine: Chinese and English at 24 kHz in the voice and mood of a recording, on torch."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from serving.config import InferenceConfig
from serving.engines.base import Capabilities, Cloning, Engine, Reference, Samples, Utterance
from serving.engines.glm_tts.pinyin import pronounced, replacements
from serving.engines.glm_tts.prompts import encode
from serving.engines.glm_tts.upstream import SAMPLE_RATE, Upstream, load_upstream
from serving.engines.model_voices import FOLDER, read_voices
from serving.engines.on_torch.device import choose
from serving.engines.on_torch.guard import guarded
from serving.engines.on_torch.one_thread import OneThread
from serving.engines.on_torch.settings import TorchSettings, read_settings
from serving.engines.on_torch.voices import Voices
from serving.errors import UnspeakableError

_CLONING = Cloning(seconds=(3.0, 10.0))
_SEEDS = 1 << 32  # numpy's, which the code seeds, too
_WARM_UP_SENTENCE = "今天早上的海港非常安静，第一班渡轮还没有出发。"


class GlmTtsSettings(TorchSettings):
    """The code names its device itself, and is not made to be compiled."""

    device: Literal["cuda"] = "cuda"
    compile: Literal[False] = False


class GlmTtsEngine:
    """One model, one text at a time: what the code changes while it speaks is shared."""

    capabilities = Capabilities(
        languages=("zh", "en"), cloning=_CLONING, phonemes="pinyin", interleaved=False
    )
    sample_rate = SAMPLE_RATE
    speeds = (1.0, 1.0)

    def __init__(
        self, thread: OneThread, upstream: Upstream, settings: GlmTtsSettings, own: Mapping[str, Reference]
    ) -> None:
        """`own` are the voices of the model's files, at least one: it speaks in that of a recording alone."""
        self._thread = thread
        self._upstream = upstream
        self._settings = settings
        self._voices = Voices(own, _CLONING, lambda reference: encode(upstream, reference))
        self.voices = tuple(own)

    def warm_up(self) -> Samples:
        """See Engine.warm_up; speaks a text of each length that the settings name."""
        spoken: list[Samples] = []
        for length in self._settings.warm_up_characters:
            text = (_WARM_UP_SENTENCE * (1 + length // len(_WARM_UP_SENTENCE)))[:length]
            spoken += self.synthesise(Utterance(text=text, voice=self.voices[0], seed=0))
        return np.concatenate(spoken)

    def synthesise(self, utterance: Utterance) -> Generator[Samples, None, None]:
        """See Engine.synthesise; a chunk is a segment of 30 to 60 characters, as the code cuts them."""
        return self._thread.iterate(lambda: guarded(self._chunks(utterance), release=self._voices.clear))

    def forget(self, digest: str) -> None:
        """See Engine.forget."""
        self._voices.drop(digest)

    def _chunks(self, utterance: Utterance) -> Generator[Samples, None, None]:
        if not any(character.isalnum() for character in utterance.text):
            raise UnspeakableError(
                "The field `input` holds nothing that can be spoken: there is no letter or number in it."
            )
        prompt = self._voices.prompt(utterance)
        if prompt is None:
            raise UnspeakableError(f"The voice {utterance.voice!r} has no recording.", param="voice")
        words = replacements(utterance.phonemes, self._knows)
        upstream, cache = self._upstream, prompt.new_cache()
        seed = secrets.randbits(32) if utterance.seed is None else utterance.seed % _SEEDS
        text = upstream.text_frontend.text_normalize(utterance.text)
        with pronounced(upstream.text_frontend, words):
            for segment in upstream.text_frontend.split_by_len(text):
                speech, *_ = upstream.generate_long(
                    frontend=upstream.frontend,
                    text_frontend=upstream.text_frontend,
                    llm=upstream.llm,
                    flow=upstream.flow,
                    text_info=["", segment],
                    cache=cache,
                    device=upstream.frontend.device,
                    embedding=prompt.embedding,
                    seed=seed,
                    flow_prompt_token=prompt.speech_token,
                    speech_feat=prompt.features,
                    use_phoneme=bool(words),
                )
                samples: Samples = speech.reshape(-1).float().cpu().numpy()
                if samples.size:
                    yield np.clip(samples, -1.0, 1.0)

    def _knows(self, sign: str) -> bool:
        """Whether a sign for a sound is one token of the model."""
        return len(self._upstream.frontend.tokenize_fn(sign)) == 1


def load(model_dir: Path, config: InferenceConfig) -> Engine:
    """Loads the code and the model of the revision's files."""
    settings = read_settings(GlmTtsSettings, config.settings)
    own = read_voices(config.artifacts, model_dir)
    if not own:
        raise ValueError(
            f"it speaks in the voice of a recording alone, and its catalog entry names none; add "
            f"{FOLDER}/<name>.wav, of 3 to 10 s, and {FOLDER}/<name>.txt"
        )
    thread = OneThread("glm-tts")

    def loaded() -> Upstream:
        choose(settings)
        return load_upstream(model_dir.resolve(), config.artifacts)

    return GlmTtsEngine(thread, thread.run(loaded), settings, own)
