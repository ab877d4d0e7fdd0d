"""A look at the live service from outside, as a caller has it: does it speak, and is it the version that was
released?"""

import array
import json
import math
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import PipelineError

_TEXT = "The harbour was quiet this morning, and seven birds sat on the wall."
_SECONDS = 60
_LEAST_SECONDS, _MOST_SECONDS = 1.5, 15.0
_LEAST_DBFS = -45.0


@dataclass(frozen=True)
class Answer:
    """Status, headers in small letters, and body."""

    status: int
    headers: dict[str, str]
    body: bytes


Ask = Callable[[str, bytes | None], Answer]
"""Path and body (None for GET) -> answer; raises OSError where there is none."""


def inspect(ask: Ask, *, version: str) -> list[str]:
    """What is wrong, as sentences; none where the service speaks as `version` (any, where that is empty)."""
    try:
        told = ask("/version", None)
    except OSError as error:
        return [f"Nobody answers: {error}."]
    if told.status != 200:
        return [f"GET /version is answered with {told.status}."]
    try:
        said = json.loads(told.body)
        rate, live = int(said["sampleRate"]), str(said["version"])
    except (ValueError, KeyError, TypeError):
        return ["GET /version is answered, but not as a server of ours does."]
    wrong = []
    if version and live != version:
        wrong.append(f"The live version is {live}, and {version} was released.")
    return [*wrong, *_speech(ask, model=str(said.get("model", "tts")), rate=rate)]


def _speech(ask: Ask, *, model: str, rate: int) -> list[str]:
    request = {"model": model, "input": _TEXT, "response_format": "pcm"}
    began = time.monotonic()
    try:
        answer = ask("/v1/audio/speech", json.dumps(request).encode())
    except OSError as error:
        return [f"A request for speech is not answered: {error}."]
    if answer.status != 200:
        return [
            f"A request for speech is answered with {answer.status}: "
            f"{answer.body[:200].decode(errors='replace')}"
        ]
    samples = array.array("h")
    samples.frombytes(answer.body[: len(answer.body) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    seconds, level = len(samples) / rate, _dbfs(samples)
    wrong = []
    if not _LEAST_SECONDS <= seconds <= _MOST_SECONDS:
        wrong.append(
            f"The speech lasts {seconds:.1f} s, and {_LEAST_SECONDS:g} to {_MOST_SECONDS:g} s are expected."
        )
    if level < _LEAST_DBFS:
        wrong.append(f"The speech is as good as silent: {level:.0f} dBFS.")
    waited = time.monotonic() - began
    if waited > max(_MOST_SECONDS, seconds):
        wrong.append(f"The speech came in {waited:.1f} s, slower than it is spoken.")
    return wrong


def _dbfs(samples: "array.array[int]") -> float:
    if not samples:
        return -math.inf
    power = sum(sample * sample for sample in samples) / len(samples)
    return 10 * math.log10(power / 32768**2) if power else -math.inf


def by_http(url: str, *, key: str) -> Ask:
    """Asks the service at `url`; `key` is an API key, empty for none."""
    if not url.startswith(("https://", "http://")):
        raise PipelineError(f'"{url}" is no address: write https://<host>.')

    def ask(path: str, body: bytes | None) -> Answer:
        headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
        request = urllib.request.Request(url.rstrip("/") + path, data=body, headers=headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, {}, error.read())

    return ask
