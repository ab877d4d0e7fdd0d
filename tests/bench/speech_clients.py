"""Callers of a speech server: one request after the other, several at once, or at a rate that asks nobody."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

RATE = 24_000
WAV_HEADER_BYTES = 44
ANSWERED_WITHIN_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one request came to: times in seconds since it was due, `audio` in seconds; `fault` says why it
    was not answered whole, empty where it was, or was refused with a status."""

    status: int
    first_audio: float = 0.0
    total: float = 0.0
    audio: float = 0.0
    retry_after: int | None = None
    fault: str = ""

    @property
    def whole(self) -> bool:
        """Whether there was sound, to its end."""
        return self.status == 200 and not self.fault and self.audio > 0


class Caller:
    """One application: it keeps its connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = HTTPConnection(str(parts.hostname), parts.port, timeout=ANSWERED_WITHIN_SECONDS)
        self._connection.connect()

    def speak(self, text: str, *, due: float | None = None, response_format: str = "wav") -> Answer:
        """Asks once and reads the answer to its end; its times count from `due` of the monotonic clock."""
        body = json.dumps({"model": "tts", "input": text, "response_format": response_format, "seed": 1})
        began = time.monotonic() if due is None else due
        status = 0
        try:
            headers = {"content-type": "application/json"}
            self._connection.request("POST", "/v1/audio/speech", body, headers)
            answer = self._connection.getresponse()
            status = answer.status
            first = answer.read(2 * WAV_HEADER_BYTES)
            first_audio = time.monotonic() - began
            size = len(first) + len(answer.read())
        except (OSError, HTTPException) as error:
            self._connection.close()  # the next request opens it again
            return Answer(status=status, total=time.monotonic() - began, fault=repr(error))
        retry = answer.headers.get("retry-after", "")
        return Answer(
            status=status,
            first_audio=first_audio,
            total=time.monotonic() - began,
            audio=(size - WAV_HEADER_BYTES) / 2 / RATE if status == 200 else 0.0,
            retry_after=int(retry) if retry.isdecimal() else None,
        )

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def closed_loop(
    url: str,
    texts: Sequence[str],
    *,
    clients: int,
    requests: int,
    told: Callable[[int], None] = lambda _: None,
) -> tuple[list[Answer], float]:
    """All answers, and the seconds that they took: each of `clients` asks again as soon as it was answered,
    until so many requests were sent. `told` hears of each answer how many there are by then."""
    numbers, texts_by_turn = itertools.count(), itertools.cycle(texts)
    answers: list[Answer] = []
    lock = threading.Lock()

    def go_on() -> None:
        caller = Caller(url)
        while True:
            with lock:
                if next(numbers) >= requests:
                    break
                text = next(texts_by_turn)
            answer = caller.speak(text)
            with lock:
                answers.append(answer)
                told(len(answers))
        caller.close()

    began = time.monotonic()
    threads = [threading.Thread(target=go_on) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers, time.monotonic() - began


def open_loop(url: str, text: str, *, rate: float, requests: int) -> list[Answer]:
    """All answers to requests that are sent `rate` times a second, whatever becomes of those before."""
    began = time.monotonic()

    def one(number: int) -> Answer:
        due = began + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            caller = Caller(url)
        except OSError as error:
            return Answer(status=0, total=time.monotonic() - due, fault=repr(error))
        answer = caller.speak(text, due=due)
        caller.close()
        return answer

    with ThreadPoolExecutor(requests) as threads:
        return list(threads.map(one, range(requests)))
