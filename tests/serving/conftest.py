"""A real server with the real engine: files fetched once, a process on a free loopback port."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.object_store import ObjectStore, running
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
SPEECH = "/v1/audio/speech"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server process and where it listens."""

    process: subprocess.Popen[str]
    port: int
    termination: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def speak(self, text: str, **fields: Any) -> requests.Response:
        body = {"model": "tts", "input": text, "response_format": "pcm", "seed": 7, **fields}
        return requests.post(f"{self.url}{SPEECH}", json=body, timeout=60)

    def lines(self, logger: str) -> list[dict[str, Any]]:
        """What one logger has said."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["logger"] == logger]

    def wait_ready(self, seconds: float = 30) -> None:
        poll(lambda: status(f"{self.url}/readyz") == 200, seconds, self.process)


def status(url: str) -> int | None:
    try:
        return requests.get(url, timeout=5).status_code
    except requests.ConnectionError:
        return None


def poll(done: Callable[[], bool], seconds: float, process: subprocess.Popen[str] | None = None) -> None:
    """Waits until `done`; fails when it takes too long or the process has ended."""
    deadline = time.monotonic() + seconds
    while not done():
        assert process is None or process.poll() is None, f"the server ended with {process.returncode}"
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def entry(version: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / f"models/hibari/{version}.yaml").read_text())


def fetch(entry_file: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving.artifacts", "fetch", str(entry_file), str(target)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def inference(version: str, **changes: Any) -> dict[str, Any]:
    """The inference config of a catalog entry, as its ConfigMap holds it."""
    fields = entry(version)
    artifacts = [{key: item[key] for key in ("path", "size", "sha256")} for item in fields["artifacts"]]
    return {
        **{key: fields[key] for key in ("model", "version", "engine", "sampleRate", "languages", "license")},
        "revision": f"hibari-{version.replace('.', '-')}-abcdef",
        "artifacts": artifacts,
        "slots": 2,
        **changes,
    }


Start = Callable[..., Running]


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of hibari 1.0.0."""
    target = tmp_path_factory.mktemp("model")
    done = fetch(ROOT / "models/hibari/1.0.0.yaml", target)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="session")
def float_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of hibari 1.1.0, made from those of 1.0.0 by the catalog's own script."""
    target = tmp_path_factory.mktemp("float-model")
    done = fetch(ROOT / "models/hibari/1.1.0.yaml", target)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Iterator[Start]:
    """Starts servers, and ends those that a test left running."""
    processes: list[subprocess.Popen[str]] = []

    def start_one(
        folder: Path = model_dir, config: dict[str, Any] | None = None, module: str = "serving", **more: str
    ) -> Running:
        home = tmp_path_factory.mktemp("server")
        (home / "inference.json").write_text(json.dumps(config or inference("1.0.0")))
        port = free_port()
        environ = {
            **os.environ,
            "TTS_CONFIG": str(home / "inference.json"),
            "TTS_MODEL_DIR": str(folder),
            "TTS_BIND": "127.0.0.1",
            "TTS_PORT": str(port),
            "TTS_TERMINATION_LOG": str(home / "termination"),
            **more,
        }
        with (home / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module], cwd=ROOT, env=environ, stdout=log, stderr=log, text=True
            )
        processes.append(process)
        return Running(process=process, port=port, termination=home / "termination", log=home / "log")

    yield start_one
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def server(start: Start) -> Running:
    """A server that is ready, shared by the tests that leave it as it is."""
    running = start()
    running.wait_ready()
    return running


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A real S3 server."""
    with running(tmp_path_factory.mktemp("object-store")) as store:
        yield store
