"""The code of GLM-TTS: no package, but a folder that is imported and run as it stands.

It names its files relative to the working directory, and its modules `utils`, `llm` and `flow`: so it gets a
process of its own, a working directory of its own, and is imported in no other.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import LlamaForCausalLM

from serving.artifacts import Artifact
from serving.engines.glm_tts.normaliser import as_built

SAMPLE_RATE = 24_000

_HOME = "GLM_TTS_HOME"
_ENTRANCE = "glmtts_inference"
_WEIGHTS = "ckpt"
_OWN = ("configs", "frontend")  # folders of the code that it reads, too


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """What `load_models` returns and the function that speaks, under their names there."""

    frontend: Any
    text_frontend: Any
    llm: Any
    flow: Any
    generate_long: Callable[..., tuple[Any, Any, list[int], dict[str, Any]]]


def load_upstream(model_dir: Path, artifacts: Iterable[Artifact]) -> Upstream:
    """Imports the code and loads the model, with its phonemes. Raises ValueError.

    The process has another working directory afterwards."""
    refuse_unlisted(model_dir, artifacts)
    home = Path(os.environ.get(_HOME, "/opt/glm-tts"))
    if not (home / f"{_ENTRANCE}.py").is_file():
        raise ValueError(f"the code of GLM-TTS is not at {home}; {_HOME} says where it is")
    os.chdir(_working_directory(home, model_dir))
    sys.path.insert(0, str(home))
    with as_built(), whole_weights():
        module = importlib.import_module(_ENTRANCE)
        loaded = module.load_models(use_phoneme=True, sample_rate=SAMPLE_RATE)
    frontend, text_frontend, _, llm, flow = loaded
    return Upstream(
        frontend=frontend,
        text_frontend=text_frontend,
        llm=llm,
        flow=flow,
        generate_long=module.generate_long,
    )


def refuse_unlisted(model_dir: Path, artifacts: Iterable[Artifact]) -> None:
    """Raises ValueError for a file of the weights that the catalog entry does not name.

    The code runs what it finds there: modules beside the tokenizer, and pickles. Only what the sha256 of a
    reviewed entry stands for may be there."""
    listed = {artifact.path for artifact in artifacts}
    for file in sorted((model_dir / _WEIGHTS).rglob("*")):
        path = file.relative_to(model_dir).as_posix()
        if not file.is_dir() and path not in listed:
            raise ValueError(f"{path} is among its files, and its catalog entry does not name it")


def _working_directory(home: Path, model_dir: Path) -> Path:
    """A folder in which the code finds all that it names relatively."""
    folder = Path(tempfile.mkdtemp(prefix="glm-tts-"))
    (folder / _WEIGHTS).symlink_to(model_dir / _WEIGHTS)
    for name in _OWN:
        (folder / name).symlink_to(home / name)
    return folder


@contextmanager
def whole_weights() -> Iterator[None]:
    """Has the language model loaded whole or not at all; transformers fills what a file lacks with random
    numbers and only logs that. Raises ValueError. (The code loads its other parts strictly by itself.)"""
    original = LlamaForCausalLM.from_pretrained

    def checked(*given: Any, **more: Any) -> Any:
        model, info = original(*given, output_loading_info=True, **more)
        said = [
            f"{len(info[kind])} {kind.replace('_', ' ')}, such as {sorted(map(str, info[kind]))[0]}"
            for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")
            if info[kind]
        ]
        if said:
            raise ValueError(f"the weights in {given[0]} are not of its language model: {'; '.join(said)}")
        return model

    LlamaForCausalLM.from_pretrained = checked
    try:
        yield
    finally:
        del LlamaForCausalLM.from_pretrained  # that of its base class stands behind it
