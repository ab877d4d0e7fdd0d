"""The fake of GLM-TTS is held to its code, where a copy of that is at hand: GLM_TTS_CODE=folder."""

import ast
import json
import os
from pathlib import Path

import pytest

FAKE = Path(__file__).with_name("fake_glm_tts")
CODE = os.environ.get("GLM_TTS_CODE", "")


@pytest.mark.skipif(not CODE, reason="GLM_TTS_CODE names no copy of the code of GLM-TTS")
def test_the_fake_is_like_the_code() -> None:
    """Every function that the engine calls has the same parameters there, and every file is where it was."""
    places = {
        "glmtts_inference.py": ("load_models", "generate_long"),
        "cosyvoice/cli/frontend.py": (
            *("text_normalize", "split_by_len", "g2p_infer", "_extract_text_token"),
            *("_extract_speech_token", "_extract_spk_embedding", "_extract_speech_feat"),
        ),
    }
    fake = functions(FAKE / "glmtts_inference.py")
    for file, names in places.items():
        real = functions(Path(CODE) / file)
        for name in names:
            assert fake[name] == real[name], name
    line = (Path(CODE) / "configs/G2P_replace_dict.jsonl").read_text(encoding="utf-8").splitlines()[0]
    assert json.loads(line) == {"弦": "<|X|><|IAN2|>"}


def functions(file: Path) -> dict[str, list[str]]:
    """The parameters of each function of a file."""
    return {
        node.name: [argument.arg for argument in node.args.args]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
