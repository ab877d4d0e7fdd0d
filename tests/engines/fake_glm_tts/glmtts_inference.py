"""Stands for the code of GLM-TTS at the pinned commit: the same names, signatures, files and side effects.

It does not speak. What it makes shows what it was asked: a second of sound for each segment, whose level is
that of the voice and whose pitch says whether the segment was pronounced by signs. Written for these tests;
nothing of it is copied. `test_the_fake_is_like_the_code` holds it to the code, where that is at hand.
"""

import json
import re
from pathlib import Path

import torch
from tn.chinese.normalizer import Normalizer as ZhNormalizer
from transformers import LlamaForCausalLM

DEVICE = torch.device("cpu")
calls = []
"""What was asked, in order, for the tests to read."""


class TextFrontEnd:
    def __init__(self, use_phoneme=False):
        self.use_phoneme = use_phoneme
        ZhNormalizer(remove_erhua=False, full_to_half=True, remove_interjections=False, overwrite_cache=True)
        if use_phoneme:
            known = Path("configs/G2P_replace_dict.jsonl").read_text(encoding="utf-8").splitlines()
            self.replace_dict = {key: value for line in known for key, value in json.loads(line).items()}

    def text_normalize(self, text):
        text = " ".join(text.split())
        return text if text.endswith(tuple("。！？.!?")) else f"{text}。"

    def split_by_len(self, text, min_text_len=30, max_text_len=60):
        segments, current = [], ""
        for sentence in re.findall(r"[^。！？.!?]+[。！？.!?]*", text):
            current += sentence
            if len(current) >= min_text_len:
                segments.append(current)
                current = ""
        return [*segments, current] if current else segments

    def g2p_infer(self, text):
        for word in sorted(self.replace_dict, key=len, reverse=True):
            text = text.replace(word, self.replace_dict[word])
        return text


class TTSFrontEnd:
    def __init__(self):
        self.device = DEVICE

    def tokenize_fn(self, text):
        """A sign for a sound is one token, where there is such a sound; else each character is one."""
        signs = "B|P|M|F|D|T|N|L|G|K|H|J|Q|X|ZH|CH|SH|R|Z|C|S|[AIOUEV]+N?G?[1-5]|ONG[1-5]|A[IO][1-5]"
        return [len(part) for part in re.findall(rf"<\|(?:{signs})\|>|.", text)]

    def _extract_text_token(self, text):
        return torch.tensor([self.tokenize_fn(text)], dtype=torch.int32).to(self.device)

    def _extract_speech_token(self, path_or_tuple):
        [(audio, rate)] = path_or_tuple
        assert audio.ndim == 2
        return torch.ones(1, round(25 * audio.shape[1] / rate), dtype=torch.int64)

    def _extract_spk_embedding(self, speech):
        assert speech.ndim == 2
        return speech.abs().mean().reshape(1, 1).repeat(1, 192)

    def _extract_speech_feat(self, speech, sample_rate=24000):
        assert speech.ndim == 2
        return torch.zeros(1, speech.shape[1] // 480, 80)


def generate_long(  # noqa: PLR0917 - as there
    frontend,
    text_frontend,
    llm,
    flow,
    text_info,
    cache,
    device,
    embedding,
    seed=0,
    sample_method="ras",
    flow_prompt_token=None,
    speech_feat=None,
    local_llm_forward=None,
    local_flow_forward=None,
    use_phoneme=False,
):
    assert flow_prompt_token.dtype == torch.int32
    assert speech_feat.shape[0] == 1
    outputs, said = [], {"syn_text_phoneme": []}
    for segment in text_frontend.split_by_len(text_info[1]):
        torch.manual_seed(seed)
        text = text_frontend.text_normalize(segment)
        if use_phoneme:
            text = text_frontend.g2p_infer(text)
            said["syn_text_phoneme"].append(text)
        calls.append({"text": text, "before": list(cache["cache_text"]), "seed": seed, "signs": use_phoneme})
        cache["cache_text"].append(text)
        cache["cache_text_token"].append(frontend._extract_text_token(text))
        cache["cache_speech_token"].append([1] * 25)
        pitch = 200.0 + 50 * text.count("<|")
        time = torch.arange(24_000) / 24_000
        hum = embedding[0, 0] * torch.sin(2 * torch.pi * pitch * time)
        outputs.append((hum + 1e-3 * torch.randn(24_000)).reshape(1, -1))
    return torch.cat(outputs, dim=1), None, [], said


def load_models(use_phoneme=False, sample_rate=24000):
    for needed in ("vq32k-phoneme-tokenizer", "speech_tokenizer", "flow/flow.pt", "hift/hift.pt"):
        assert Path("ckpt", needed).exists(), f"ckpt/{needed} is not below the working directory"
    assert Path("frontend/campplus.onnx").exists()
    llm = LlamaForCausalLM.from_pretrained("ckpt/llm")
    return TTSFrontEnd(), TextFrontEnd(use_phoneme), object(), llm, object()
