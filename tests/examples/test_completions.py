"""The worked example of another kind of model: a server of its own, released by the same program. What it
must answer is its smoke test."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from release.audition import PASSED, REFUSED
from release.audition import main as hear
from tests.components.conftest import make_checkout, run_stack, write_entry
from tests.e2e.conftest import Platform, make_platform
from tests.ports import free_port
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "completions"
MODELS = EXAMPLE / "models" / "completions"


def told(version: str, models: Path = MODELS.parent) -> dict[str, Any]:
    """What server and release are told of a version."""
    words = [sys.executable, "-m", "components", "completions", version, str(models)]
    found: dict[str, Any] = json.loads(subprocess.check_output(words, cwd=ROOT, text=True))
    return found


@contextmanager
def server(folder: Path, inference: dict[str, Any], version: str) -> Iterator[str]:
    """The server as its image has it, with its model file; its address."""
    app, model = folder / "app", folder / "model"
    for name in ("__init__.py", "artifacts.py", "errors.py", "sources.py"):
        (app / "serving").mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "serving" / name, app / "serving" / name)
    shutil.copy(EXAMPLE / "server.py", app / "serving" / "__main__.py")
    model.mkdir(exist_ok=True)
    shutil.copy(MODELS / f"{version}.json", model / "model.json")
    (folder / "inference.json").write_text(json.dumps(inference))
    port = free_port()
    environment = os.environ | {"TTS_CONFIG": str(folder / "inference.json"), "TTS_MODEL_DIR": str(model)}
    environment |= {"TTS_BIND": "127.0.0.1", "TTS_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "serving"], cwd=app, env=environment)
    try:
        eventually(lambda: ready(port))
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(10) == 0


def ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except requests.ConnectionError:
        return False


def test_its_gate_is_what_it_must_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told("1.1.0")
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(found["plan"]))
    with server(tmp_path, found["inference"], "1.1.0") as address:
        assert hear(plan, address, tmp_path / "out") == PASSED, capsys.readouterr().err
        answers = found["plan"]["target"]["gate"]["exchange"]["answers"]
        answers["before the first"] = '"text": "boat came'
        plan.write_text(json.dumps(found["plan"]))
        assert hear(plan, address, tmp_path / "out") == REFUSED
        assert "answer: The answer does not hold" in capsys.readouterr().err
    # A server of another version than it says is none of ours, whatever it answers.
    with server(tmp_path, found["inference"] | {"version": "1.0.0"}, "1.1.0") as address:
        assert hear(plan, address, tmp_path / "out") == REFUSED
        assert "The pod should be 1.1.0" in capsys.readouterr().err


def test_it_is_declared_by_the_same_program(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path)
    shutil.copytree(EXAMPLE, checkout / "examples" / "completions")
    shutil.copytree(MODELS, checkout / "models" / "completions")
    for name in ("artifacts.py", "errors.py", "sources.py"):
        shutil.copy(ROOT / "serving" / name, checkout / "serving" / name)
    shutil.copy(EXAMPLE / "Pulumi.completions.yaml", checkout)
    write_entry(checkout, {"version": "2.0.0"})  # a wrong entry of another model is no matter of this one
    program = run_stack(checkout, "completions")
    base = next(each for each in program.registered if each.name == "server-base-completions")
    assert base.inputs["dockerfile"]["location"] == "examples/completions/Dockerfile"
    config = json.loads(
        program.find(f"ConfigMap {program.exported['revision']}-inference-cfg").inputs["data"][
            "inference.json"
        ]
    )
    assert "sampleRate" not in config
    assert program.kind("Job", logical="release")


def test_the_models_are_what_the_training_makes() -> None:
    train = runpy.run_path(str(EXAMPLE / "train.py"))["train"]
    for version, order in (("1.0.0", 1), ("1.1.0", 2)):
        made = json.dumps(train((EXAMPLE / "text.txt").read_text(), order), indent=1) + "\n"
        assert made == (MODELS / f"{version}.json").read_text()


@pytest.fixture
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose checkout has the example where its own page says."""
    made = make_platform(tmp_path_factory.mktemp("completions"))
    shutil.copytree(EXAMPLE, made.checkout / "examples" / "completions")
    shutil.copytree(MODELS, made.checkout / "models" / "completions")
    shutil.copy(EXAMPLE / "Pulumi.completions.yaml", made.checkout)
    made.configure("completions", gatewayAddress=made.url)
    yield made
    made.run("down", "--stack", "completions")
    assert made.processes() == []


def complete(platform: Platform, prompt: str) -> tuple[str, str]:
    """What the live version says, and which it is."""
    body = {"model": "completions", "prompt": prompt, "max_tokens": 4}
    answer = requests.post(f"{platform.url}/v1/completions", json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["text"], answer.headers["x-tts-version"]


@pytest.mark.soak
def test_it_is_released_refused_and_released_again(platform: Platform) -> None:
    first = platform.up(stack="completions")
    assert first.status == 0, first.text
    assert complete(platform, "it left before the") == ("harbour was quiet again", "1.0.0")

    platform.edit("models/completions/1.1.0.yaml", '"text": "ferry left', '"text": "boat came')
    refused = platform.up("--config", "modelVersion=1.1.0", stack="completions")
    assert refused.status != 0
    assert "1.1.0 did not pass the gate" in refused.text
    assert complete(platform, "it left before the")[1] == "1.0.0"

    shutil.copy(MODELS / "1.1.0.yaml", platform.checkout / "models/completions")
    second = platform.up("--config", "modelVersion=1.1.0", stack="completions")
    assert second.status == 0, second.text
    assert "dropped 0 of" in second.text
    # It looks at two words.
    assert complete(platform, "it left before the") == ("first ferry left and", "1.1.0")
