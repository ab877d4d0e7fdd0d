"""Ordinary speech requests at a fixed rate, and a count of those that were not answered whole.

    python -m local.traffic --url http://127.0.0.1:6006 --rate 5 --seconds 60

The prober is open-loop: a request is sent when it is due, whether or not earlier ones were answered.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import urlsplit

import httpx2

from local import wav
from local.errors import LocalError
from local.keys import NO_KEY, own_key

TEXT = "One word follows another while the release goes on."
WAV_HEADER_BYTES = 44
MAX_REQUESTS = 20_000
MAX_UNANSWERED = 200
KEPT_REASONS = 5
UNAUTHORISED = 401


@dataclass(frozen=True)
class Answer:
    """What became of one request, sent `at` seconds after the first.

    `version` is what the header `x-tts-version` said (empty without one), `first_audio` the seconds until the
    first sound; `dropped` is the reason why the request counts as dropped, None for a whole answer.
    """

    at: float
    version: str
    first_audio: float | None
    dropped: str | None


@dataclass(frozen=True)
class Report:
    """All answers, in the order in which the requests were sent."""

    answers: tuple[Answer, ...]

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return len(self.answers)

    @property
    def dropped(self) -> int:
        """How many of them were not answered whole."""
        return sum(answer.dropped is not None for answer in self.answers)

    @property
    def reasons(self) -> list[str]:
        """The first few dropped requests, each with its time and reason."""
        dropped = [answer for answer in self.answers if answer.dropped is not None]
        return [f"at {answer.at:.1f} s: {answer.dropped}" for answer in dropped[:KEPT_REASONS]]

    def sentence(self) -> str:
        """Return the count with what it says about all requests, not only those sent."""
        if not self.sent:
            return "No request was sent, so nothing can be said about dropped ones."
        bound = 100 * upper_bound(dropped=self.dropped, sent=self.sent)
        return f"dropped {self.dropped} of {self.sent} (at most {bound:.2g} % with 95 % confidence)"

    def timeline(self, window: float = 2.0) -> list[str]:
        """Return a line for each stretch of `window` seconds in which the same versions answered."""
        buckets: list[tuple[int, Counter[str]]] = []
        for index, group in groupby(self.answers, key=lambda answer: int(answer.at // window)):
            buckets.append((index, Counter(answer.version or "no version" for answer in group)))
        lines = []
        for _, run in groupby(buckets, key=lambda bucket: sorted(bucket[1])):
            stretch = list(run)
            count = sum((counter for _, counter in stretch), Counter[str]())
            begin, end = stretch[0][0] * window, (stretch[-1][0] + 1) * window
            shares = ", ".join(f"{version} x {number}" for version, number in sorted(count.items()))
            lines.append(f"{begin:5.0f} - {end:3.0f} s   {shares}")
        return lines

    def first_audio(self) -> str:
        """Return the latency of the first sound as a sentence."""
        seconds = [answer.first_audio for answer in self.answers if answer.first_audio is not None]
        if not seconds:
            return "No sound was heard."
        median, longest = 1000 * statistics.median(seconds), 1000 * max(seconds)
        return f"First sound after {median:.0f} ms (median), {longest:.0f} ms at most."


def text_of(characters: int) -> str:
    """Return a text of that many characters; a long one is still under way while a server drains."""
    return (f"{TEXT} " * (max(0, characters) // len(TEXT) + 1))[: max(0, characters)]


def upper_bound(*, dropped: int, sent: int, confidence: float = 0.95) -> float:
    """Return the one-sided Clopper-Pearson upper bound of the dropped share, between 0 and 1.

    At that share, seeing `dropped` or fewer has the probability `1 - confidence`; for 0 dropped it is about
    3 / sent.
    """
    if not 0 <= dropped <= sent or sent == 0:
        raise ValueError(f"{dropped} dropped of {sent} is no count; both start at 0 and sent is above it.")
    if dropped == sent:
        return 1.0
    low, high = dropped / sent, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(dropped, sent, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(count: int, number: int, share: float) -> float:
    """Return the probability of `count` or fewer hits in `number` tries that hit with probability `share`."""
    if share in (0.0, 1.0):
        return float(share == 0.0 or count == number)
    fixed = math.lgamma(number + 1)
    return math.fsum(
        math.exp(
            fixed
            - math.lgamma(hits + 1)
            - math.lgamma(number - hits + 1)
            + hits * math.log(share)
            + (number - hits) * math.log1p(-share)
        )
        for hits in range(count + 1)
    )


class Traffic:
    """Requests to `<url>/v1/audio/speech` from a thread of their own, between `start()` and `stop()`.

    `rate` is in requests a second, `timeout` in seconds for one whole answer, `text` what each request says;
    it ends by itself after `max_requests`.
    """

    def __init__(
        self,
        url: str,
        *,
        rate: float = 5.0,
        timeout: float = 30.0,
        max_requests: int = MAX_REQUESTS,
        headers: Mapping[str, str] | None = None,
        text: str = TEXT,
    ) -> None:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc:
            raise LocalError(
                f"The URL {url!r} is not of the form http://host:port; give the gateway's address."
            )
        if not 0 < rate <= 1000:
            raise LocalError(f"The rate {rate:g} is not above 0 and at most 1000 requests a second.")
        if not text.strip():
            raise LocalError("The text is empty; a request needs something to say.")
        self._url = url.rstrip("/") + "/v1/audio/speech"
        self._rate, self._timeout, self._max_requests = rate, timeout, max_requests
        self._headers, self._text = dict(headers or {}), text
        self._answers: list[Answer] = []
        self._ending = threading.Event()
        self._begun = threading.Event()
        self._end: Future[None] = Future()

    def start(self) -> None:
        """Begin to send; return once the first request is under way."""
        threads = ThreadPoolExecutor(1)
        self._end = threads.submit(lambda: asyncio.run(self._send()))
        threads.shutdown(wait=False)
        while not self._begun.wait(0.05) and not self._end.done():
            pass

    def wait(self, seconds: float | None = None) -> None:
        """Return after `seconds`, or earlier once the last request was sent and answered."""
        wait([self._end], timeout=seconds)

    def stop(self) -> Report:
        """Send nothing more, wait for the answers under way, and return what became of all."""
        self._ending.set()
        self._end.result()
        return Report(tuple(sorted(self._answers, key=lambda answer: answer.at)))

    async def _send(self) -> None:
        under_way: set[asyncio.Task[None]] = set()
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
        async with (
            httpx2.AsyncClient(timeout=None, limits=limits, trust_env=False) as client,
            asyncio.TaskGroup() as group,
        ):
            begin = time.monotonic()
            for number in range(self._max_requests):
                due = begin + number / self._rate
                while not self._ending.is_set() and (rest := due - time.monotonic()) > 0:
                    await asyncio.sleep(min(rest, 0.1))
                if self._ending.is_set():
                    break
                if len(under_way) >= MAX_UNANSWERED:
                    reason = f"{MAX_UNANSWERED} earlier requests are still unanswered"
                    self._answers.append(Answer(due - begin, "", None, reason))
                    continue
                task = group.create_task(self._one(client, due, due - begin))
                under_way.add(task)
                self._begun.set()
                task.add_done_callback(under_way.discard)

    async def _one(self, client: httpx2.AsyncClient, due: float, at: float) -> None:
        version, first_audio, dropped = "", None, None
        body = {"model": "tts", "input": self._text, "response_format": "wav"}
        content = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout),
                client.stream("POST", self._url, json=body, headers=self._headers) as response,
            ):
                version = response.headers.get("x-tts-version", "")
                async for piece in response.aiter_bytes():
                    content += piece
                    if (
                        first_audio is None
                        and response.status_code == 200
                        and len(content) > WAV_HEADER_BYTES
                    ):
                        first_audio = time.monotonic() - due
            if response.status_code == 200:
                wav.decode(bytes(content))
            elif response.status_code == UNAUTHORISED:
                dropped = f"status {UNAUTHORISED}: {NO_KEY}"
            else:
                dropped = (
                    f"status {response.status_code}: {bytes(content[:200]).decode(errors='replace').strip()}"
                )
        except TimeoutError:
            dropped = f"no whole answer within {self._timeout:g} s"
        except (httpx2.HTTPError, httpx2.StreamError, OSError, wav.WavError) as error:
            dropped = f"{type(error).__name__}: {error}"
        self._answers.append(Answer(at, version, first_audio, dropped))


def main(arguments: list[str] | None = None) -> int:
    """Send for a while and report; return 1 when a request was dropped or none was sent."""
    parser = argparse.ArgumentParser(prog="python -m local.traffic", description=__doc__.partition("\n")[0])
    parser.add_argument("--url", required=True, help="the gateway, for instance http://127.0.0.1:6006")
    parser.add_argument("--rate", type=float, default=5.0, help="requests a second (default 5)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to send (default 60)")
    parser.add_argument(
        "--header", action="append", default=[], metavar="NAME=VALUE", help="sent with each request"
    )
    texts = parser.add_mutually_exclusive_group()
    texts.add_argument("--text", default=TEXT, help="what each request says")
    texts.add_argument("--text-characters", type=int, metavar="N", help="a text of N characters in its place")
    options = parser.parse_args(arguments)
    text = options.text if options.text_characters is None else text_of(options.text_characters)
    headers = own_key() | dict(header.partition("=")[::2] for header in options.header)
    limit = min(MAX_REQUESTS, max(1, math.ceil(options.rate * options.seconds)))
    try:
        traffic = Traffic(options.url, rate=options.rate, max_requests=limit, headers=headers, text=text)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    traffic.start()
    try:
        traffic.wait()
    except KeyboardInterrupt:
        print("stopping")
    report = traffic.stop()
    print("\n".join([*report.timeline(), *report.reasons, report.first_audio(), report.sentence()]))
    return 1 if report.dropped or not report.sent else 0


if __name__ == "__main__":
    # A shell that starts it in the background has SIGINT ignored, and Python then leaves it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
