"""Two versions of one model before one store, in this process, with an engine whose sound says whose
recording it was given; and how a caller speaks with them."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient

from serving.app import create_app
from serving.config import parse_inference
from serving.edge import Activity
from serving.host import EngineHost
from serving.keys import Keys, hash_of
from serving.metrics import Metrics
from serving.parts import Parts
from serving.storage.store import FolderStore
from serving.voices import decoding
from serving.voices.checks import check
from serving.voices.decoding import Recording
from serving.voices.library import Library
from serving.voices.references import References
from serving.voices.unpack import unpack
from serving.voices.voices import Kept, Voices
from tests.serving import pitch
from tests.serving.conftest import SPEECH
from tests.serving.recordings import TEXT, encoded, voice

PATH = "/v1/voices"
PER_KEY = 4
ADA, BOB, PROBE = "ada", "bob", "probe"


@dataclass(frozen=True)
class Served:
    """One version: its client, and its engine."""

    client: TestClient
    engine: pitch.PitchEngine


@dataclass(frozen=True)
class Stack:
    """Two versions, and the volume that they share."""

    first: Served
    second: Served
    volume: Path

    def kept(self) -> list[str]:
        return sorted(str(file.relative_to(self.volume)) for file in self.volume.rglob("*") if file.is_file())


@contextmanager
def running(volume: Path | None, keys: Path | None) -> Iterator[Stack]:
    """The stack; without a volume its servers keep no voices, without keys they answer everybody."""
    logging.getLogger("serving").setLevel(logging.INFO)
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "read_apart", _read_here)
        served = [stack.enter_context(_served(version, volume, keys)) for version in ("1.0.0", "2.0.0")]
        yield Stack(*served, volume or Path("/nowhere"))


@contextmanager
def _served(version: str, volume: Path | None, keys: Path | None) -> Iterator[Served]:
    config = parse_inference(pitch.config(version))
    host, engine, metrics = (
        EngineHost(config, Path()),
        pitch.PitchEngine(),
        Metrics(version, slots=2, voices=True),
    )
    host.engine = engine
    kept = None
    if volume is not None:
        library = Library(FolderStore(volume), "prod/voices/pitch")
        kept = Kept(
            library=library,
            references=References(library, engine.forget),
            per_key=PER_KEY,
            failed=metrics.store_failed,
        )
    parts = Parts(
        config=config,
        host=host,
        activity=Activity(),
        metrics=metrics,
        keys=Keys(keys) if keys else None,
        voices=Voices(kept=kept),
    )
    with TestClient(create_app(parts)) as client:
        yield Served(client, engine)


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """See `stack`."""
    keys = write_keys(tmp_path_factory.mktemp("keys") / "keys")
    with running(tmp_path_factory.mktemp("volume"), keys) as made:
        yield made


@pytest.fixture
def stack(two_versions: Stack) -> Stack:
    """Two versions that have no voice yet."""
    for each in two_versions.volume.iterdir():
        shutil.rmtree(each)
    for server in (two_versions.first, two_versions.second):
        server.engine.derived.clear()
        server.engine.log.clear()
    return two_versions


def _read_here(content: bytes, *, rate: int, seconds: tuple[float, float]) -> Recording:
    """In place of `read_apart`, which takes half a second to start."""
    unpacked = unpack(content, rate=rate, most_seconds=seconds[1])
    findings = check(unpacked, least_seconds=seconds[0])
    return Recording(samples=unpacked.samples, about=unpacked.about, findings=findings)


def write_keys(file: Path) -> Path:
    file.write_text("".join(f"{name} {hash_of(name + '-secret')}\n" for name in (ADA, BOB, PROBE)))
    return file


def signed(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}-secret"}


def add(server: Served, audio: bytes | None = None, key: str = ADA, **fields: Any) -> httpx2.Response:
    """Fields that are None are left out."""
    given = {"name": "Ada", "consent": "true", "transcript": TEXT, **fields}
    headers = signed(key) | given.pop("headers", {})
    return server.client.post(
        PATH,
        data={name: value for name, value in given.items() if value is not None},
        files={"audio": ("voice.wav", encoded("wav") if audio is None else audio)},
        headers=headers,
    )


def added(server: Served, tone: float = 200, key: str = ADA, **fields: Any) -> str:
    answer = add(server, encoded("wav", voice(tone)), key, **fields)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def asked(server: Served, key: str = ADA) -> dict[str, Any]:
    answer = server.client.get(PATH, headers=signed(key))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def own(server: Served, key: str = ADA) -> list[str]:
    return [each["id"] for each in asked(server, key)["data"] if each["own"]]


def delete(server: Served, voice_id: str, key: str = ADA, **headers: str) -> httpx2.Response:
    return server.client.delete(f"{PATH}/{voice_id}", headers=signed(key) | headers)


def speak(
    server: Served, key: str = ADA, headers: dict[str, str] | None = None, **fields: Any
) -> httpx2.Response:
    body = {"model": "tts", "input": "Good morning to you.", "response_format": "pcm", **fields}
    return server.client.post(SPEECH, json=body, headers=signed(key) | (headers or {}))


def heard(answer: httpx2.Response) -> float:
    """The pitch that was spoken."""
    assert answer.status_code == 200, answer.text
    return pitch.pitch_of(np.frombuffer(answer.content, "<i2").astype(np.float32), pitch.RATE)
