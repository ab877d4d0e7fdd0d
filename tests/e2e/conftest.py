"""A whole platform for a test: a copy of the checkout, a folder of its own, a port of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.ports import free_port
from tests.repeating import Repeating

CHECKOUT = Path(__file__).resolve().parents[2]
PARTS = [
    "Pulumi.yaml",
    "Pulumi.dev.yaml",
    "__main__.py",
    "components",
    "local",
    "models",
    "release",
    "serving",
]
PARTS += [".dockerignore"]
VERSIONS = ("1.0.0", "1.1.0")


ROLLOUT = {
    "steps": [25, 100],
    "holdSeconds": 1,
    "readySeconds": 60,
    "probesPerSecond": 20,
    "limits": {"errorPercent": 15},
}
"""Short: eighteen right answers are evidence for a step, which are there after some two seconds."""


SHORT_TEXT = "The train is late again today."
LONGEST_ANSWER_SECONDS = 150
"""A release on a busy machine may take longer than dev's answers."""


def read_environment(pid: int) -> dict[str, str]:
    """The environment that a process was started with."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.partition("=")[::2] for pair in pairs)


@dataclass
class Finished:
    """How a command ended, and all that it said."""

    status: int
    text: str


@dataclass
class Platform:
    """One copy of the checkout with an embedded platform; commands run in it as a person would run them."""

    checkout: Path
    home: Path
    port: int
    extra: dict[str, str] = field(default_factory=dict)
    brief: bool = False
    """Whether its tests are about something else than the gate."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        own = {"TTS_HOME": str(self.home), "TTS_GATEWAY_PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        clean = {key: value for key, value in os.environ.items() if key not in ("KUBECONFIG", "PYTHONPATH")}
        return clean | own | self.extra

    def start(self, *words: str, log: Path | None = None) -> subprocess.Popen[str]:
        out = log.open("w") if log else subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, "-m", "local", *words],
            cwd=self.checkout,
            env=self.environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, timeout: float = 240) -> Finished:
        process = self.start(*words)
        try:
            text, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            text, _ = process.communicate()
            raise AssertionError(f"{words} did not end within {timeout} s:\n{text}") from None
        return Finished(process.returncode, text)

    def up(self, *words: str, stack: str = "dev", timeout: float = 240) -> Finished:
        return self.run("up", "--stack", stack, *words, timeout=timeout)

    def configure(self, stack: str = "dev", **values: Any) -> None:
        """Edit the stack's config; a value of None takes the key away."""
        path = self.checkout / f"Pulumi.{stack}.yaml"
        document = yaml.safe_load(path.read_text()) if path.exists() else {"config": {}}
        for key, value in values.items():
            if value is None:
                document["config"].pop(f"tts:{key}", None)
            else:
                document["config"][f"tts:{key}"] = value
        path.write_text(yaml.safe_dump(document, sort_keys=False))

    def edit(self, relative: str, old: str, new: str) -> None:
        path = self.checkout / relative
        text = path.read_text()
        assert old in text, f"{relative} has no {old!r} any more: the test must follow the code"
        path.write_text(text.replace(old, new, 1))

    def edit_entry(self, version: str, section: str, **values: Any) -> None:
        """Edit a section of a version's catalog entry."""
        path = self.checkout / f"models/hibari/{version}.yaml"
        document = yaml.safe_load(path.read_text())
        document[section].update(values)
        path.write_text(yaml.safe_dump(document, sort_keys=False))

    def ask_no_speed(self) -> None:
        """How quick one version is beside another, on a machine that does other things too, is not asked."""
        for version in VERSIONS:
            self.edit_entry(version, "limits", firstAudioRatio=10)

    def judge_briefly(self) -> None:
        """The gate hears two texts, and the shorter is what all of a release's requests are: speaking and
        hearing the catalog's takes half of its seconds."""
        for version in VERSIONS:
            entry = yaml.safe_load((CHECKOUT / f"models/hibari/{version}.yaml").read_text())
            self.edit_entry(version, "gate", texts=[SHORT_TEXT, entry["gate"]["texts"][0]])

    def ease(self) -> None:
        """The gate as this platform's tests need it."""
        self.ask_no_speed()
        if self.brief:
            self.judge_briefly()

    def restore(self, relative: str) -> None:
        shutil.copy(CHECKOUT / relative, self.checkout / relative)

    def speak(self, text: str = "Good morning.", timeout: float = 30, **headers: str) -> requests.Response:
        return requests.post(
            f"{self.url}/v1/audio/speech",
            json={"model": "tts", "input": text, "voice": "heart", "response_format": "wav"},
            headers=headers,
            timeout=timeout,
        )

    def live_version(self) -> str:
        return requests.get(f"{self.url}/version", timeout=10).json()["version"]

    def processes(self) -> list[str]:
        """Command lines of all processes that belong to this platform's folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                where = (entry / "cwd").readlink()
            except OSError:
                continue
            if str(self.home) in line or str(where).startswith(str(self.home)):
                found.append(f"{entry.name} {line}")
        return found

    def servers(self) -> list[str]:
        """The revisions whose speech servers run here, one for each process."""
        return list(self.server_processes().values())

    def server_processes(self) -> dict[int, str]:
        """The speech servers that run here, each with its revision: read from what each was told."""
        found = {}
        for line in self.processes():
            if "-m serving" in line:
                process = int(line.split()[0])
                environment = read_environment(process)
                found[process] = json.loads(Path(environment["TTS_CONFIG"]).read_text())["revision"]
        return found


def make_platform(folder: Path, environments: Path | None = None) -> Platform:
    """A platform that has never run, with a copy of the Python environments that lie in `environments`."""
    checkout = folder / "checkout"
    checkout.mkdir(parents=True)
    for part in PARTS:
        source = CHECKOUT / part
        if source.is_dir():
            shutil.copytree(source, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, checkout / part)
    platform = Platform(checkout=checkout, home=folder / "home", port=free_port())
    platform.configure(
        modelVersion="1.0.0",
        gatewayAddress=platform.url,
        rollout=ROLLOUT,
    )
    if environments is not None:
        copy_environments(environments, platform.home / "environments")
    return platform


def copy_environments(source: Path, target: Path) -> None:
    """Copies, by hard links, each environment that is not in `target` yet. Whoever looks sees a whole one."""
    for each in source.iterdir() if source.is_dir() else ():
        if each.name.startswith(".") or (target / each.name).exists():
            continue
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".copy-", dir=target) as folder:
            copy = shutil.copytree(each, Path(folder) / each.name, symlinks=True, copy_function=os.link)
            with contextlib.suppress(OSError):  # somebody else was quicker
                copy.rename(target / each.name)


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the platforms of one test run leave their images' Python environments to those that follow: to
    install them takes longer than a release. Shared by all workers."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    return shared / "environments"


@pytest.fixture(scope="module")
def brief() -> bool:
    """Whether the gate is kept short; a module about the gate says no."""
    return True


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, environments: Path, brief: bool) -> Iterator[Platform]:
    """A platform that serves version 1.0.0; whatever a test leaves on it, the end takes away."""
    made = make_platform(tmp_path_factory.mktemp("platform"), environments)
    made.configure(longestAnswerSeconds=LONGEST_ANSWER_SECONDS)
    made.brief = brief
    made.ease()
    first = made.up()
    assert first.status == 0, first.text
    copy_environments(made.home / "environments", environments)
    yield made
    made.run("down", "--stack", "dev")
    left = made.processes()
    assert left == [], left


class Traffic(Repeating):
    """Ordinary requests at a fixed rate, each checked to its last byte, while the `with` block runs."""

    def __init__(
        self, platform: Platform, *, per_second: float = 5.0, headers: dict[str, str] | None = None
    ) -> None:
        self._platform = platform
        self._headers = headers or {}
        self.pause = 1.0 / per_second
        self._threads: list[threading.Thread] = []
        self.versions: list[str] = []
        self.revisions: list[str] = []
        self.faults: list[str] = []
        self.sent = 0

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
        for thread in self._threads:
            thread.join()

    def once(self) -> None:
        thread = threading.Thread(target=self._one)
        self.sent += 1
        self._threads.append(thread)
        thread.start()

    def _one(self) -> None:
        try:
            answer = self._platform.speak("A short sentence, spoken on the way.", **self._headers)
            seconds = (len(answer.content) - 44) / 2 / 24000
            if answer.status_code != 200 or not 1.0 < seconds < 10.0:
                self.faults.append(
                    f"status {answer.status_code}, {seconds:.2f} s of audio: {answer.text[:200]!r}"
                )
            else:
                self.versions.append(answer.headers["x-tts-version"])
                self.revisions.append(answer.headers["x-tts-revision"])
        except (requests.RequestException, KeyError) as error:
            self.faults.append(repr(error))
