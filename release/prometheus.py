"""Real traffic, as a Prometheus has measured it: asked by instant queries, judged by the rules of findings.

What Prometheus does not say is never a pass: an error, an empty answer, NaN, several series where one was
asked for, and data that is too old all hold.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2

from .findings import Finding, find
from .plan import Limits
from .statistics import error_interval

MOST_BYTES = 1_000_000
AGE = "ageSeconds"
ENOUGH = {"p99": 100, "firstAudio": 30}
"""Requests from which a 99th percentile and a median are more than one slow answer's luck. Under that a value
beyond its limit holds in place of failing."""


@dataclass(frozen=True)
class Reading:
    """What one query gave: `value`, or None and a sentence why there is none."""

    query: str
    value: float | None
    error: str


Readings = Mapping[str, Reading]
"""By the query's name."""


class PrometheusSource:
    """A Prometheus and the queries to ask it, by name; in each `{revision}`, `{namespace}` and `{window}`
    are filled in."""

    def __init__(self, *, url: str, queries: Mapping[str, str], timeout_seconds: float = 5.0) -> None:
        self._url = url.rstrip("/")
        self._queries = dict(queries)
        self._timeout = timeout_seconds

    def read(self, revision: str, *, namespace: str, window_seconds: float) -> dict[str, Reading]:
        """Asks all queries at once; an answer may take twice the time-out at most."""
        filled = {
            name: query.replace("{revision}", revision)
            .replace("{namespace}", namespace)
            .replace("{window}", f"{max(1, round(window_seconds))}s")
            for name, query in self._queries.items()
        }
        if not filled:
            return {}
        with (
            httpx2.Client(trust_env=False, timeout=self._timeout) as client,
            ThreadPoolExecutor(max_workers=len(filled)) as threads,
        ):
            answers = threads.map(lambda query: self._ask(client, query), filled.values())
            return dict(zip(filled, answers, strict=True))

    def _ask(self, client: httpx2.Client, query: str) -> Reading:
        end = time.monotonic() + self._timeout
        body = b""
        try:
            with client.stream("GET", f"{self._url}/api/v1/query", params={"query": query}) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if time.monotonic() > end or len(body) > MOST_BYTES:
                        return Reading(query, None, "Prometheus' answer is too slow or too long.")
                status = response.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, OSError) as error:
            return Reading(query, None, f"Prometheus did not answer: {type(error).__name__}, {error}.")
        return _reading(query, status, body)


def _reading(query: str, status: int, body: bytes) -> Reading:
    """What an answer of /api/v1/query says (prometheus.io/docs/prometheus/latest/querying/api)."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return Reading(query, None, f"Prometheus answered {status} without JSON.")
    if status != 200 or document.get("status") != "success":
        kind, said = document.get("errorType", "no type"), document.get("error", "no reason")
        return Reading(query, None, f"Prometheus answered {status} with an error ({kind}): {said}.")
    if document.get("warnings"):
        return Reading(query, None, f"Prometheus warns, its data may be partial: {document['warnings']}.")
    try:
        return _sample(query, document["data"]["resultType"], document["data"]["result"])
    except (KeyError, IndexError, TypeError, ValueError):
        return Reading(query, None, f"Prometheus' answer holds no readable sample: {body[:200]!r}.")


def _sample(query: str, kind: str, result: Any) -> Reading:
    """The one sample of a vector or scalar. Raises KeyError and the like for what is none."""
    if kind not in ("vector", "scalar"):
        return Reading(query, None, f"The query gave a {kind}, not a vector of one sample.")
    if kind == "vector" and len(result) != 1:
        found = f"{len(result)} series instead of one" if result else "an empty vector: there is no such data"
        return Reading(query, None, f"The query gave {found}.")
    text = result[0]["value"][1] if kind == "vector" else result[1]
    value = float(text)
    if not math.isfinite(value):
        return Reading(query, None, f"The query gave {text}.")
    return Reading(query, value, "")


def judge(  # noqa: PLR0913 - each is a word of its own
    candidate: Readings,
    reference: Readings | None,
    *,
    limits: Limits,
    min_samples: int,
    max_age_seconds: float,
    subject: str,
    pass_percent: float | None = None,
) -> list[Finding]:
    """The findings on `subject`, beside those of a reference where one serves. The errors pass where at most
    `pass_percent` are shown; `limits.error_percent` where it is left out. The names begin with `prometheus.`,
    so that they stand beside those of the release's own requests. A query that was not given judges nothing,
    but for `requests` and `errors`."""
    judging = _Judging(candidate, reference or {}, max_age_seconds, subject)
    found = [_errors(candidate, limits.error_percent, pass_percent, max(1, min_samples), subject)]
    if AGE in candidate:
        found.append(judging.age())
    absolute = {"p99": limits.p99_seconds, "firstAudio": limits.first_audio_seconds}
    for name, limit in absolute.items():
        if limit is not None and f"{name}Seconds" in candidate:
            found.append(judging.time(name, limit))
    relative = {"p99": limits.p99_ratio, "firstAudio": limits.first_audio_ratio}
    for name, limit in relative.items():
        if limit is not None and reference is not None and f"{name}Seconds" in candidate:
            found.append(judging.ratio(name, limit))
    return found


def _errors(
    readings: Readings, percent: float, pass_percent: float | None, samples: int, subject: str
) -> Finding:
    missing = Reading("", None, "No query for it was given.")
    requests, errors = readings.get("requests", missing), readings.get("errors", missing)
    bound = percent if pass_percent is None else pass_percent
    return find(
        "prometheus.errors",
        subject,
        "share",
        values={
            "wrong": errors.value, "of": requests.value, "error": requests.error or errors.error,
            "queries": {"errors": errors.query, "requests": requests.query},
        },
        limits={"percent": percent, "passPercent": bound, "samples": samples},
        sentence=_said(requests, errors, percent, samples, subject),
    )  # fmt: skip


def _said(requests: Reading, errors: Reading, percent: float, samples: int, subject: str) -> str:
    if requests.value is None or errors.value is None:
        what = "requests" if requests.value is None else "errors"
        return f"Prometheus does not say how many {what} {subject} had. {requests.error or errors.error}"
    if not requests.value:
        return (
            f"Prometheus counts no request of {subject}, although the release's own went through the "
            "gateway: its data is not collected."
        )
    counted = f"Prometheus counts {errors.value:.4g} errors of {requests.value:.4g} requests of {subject}"
    if not 0 <= errors.value <= requests.value:
        return f"{counted}, which cannot be."
    interval = error_interval(errors.value, requests.value)
    return (
        f"{counted}: between {interval.low:.1f} and {interval.high:.1f} % with 95 % confidence; at most "
        f"{percent:g} % are allowed, and at least {samples} requests are wanted."
    )


@dataclass(frozen=True)
class _Judging:
    """Values by `measured`, each with the age of the data that it comes from."""

    candidate: Readings
    reference: Readings
    max_age: float
    subject: str

    def age(self) -> Finding:
        """How old the newest sample is."""
        reading = self.candidate[AGE]
        age = "of unknown age" if reading.value is None else f"{_shown(reading.value)} s old"
        said = f"Prometheus' newest sample of {self.subject} is {age}; " \
            f"at most {self.max_age:g} s are allowed."  # fmt: skip
        values = {"value": reading.value, "error": reading.error, "query": reading.query}
        return self._find(AGE, values, self.max_age, said, (self.candidate,))

    def time(self, name: str, limit: float) -> Finding:
        """A time of the candidate alone, in seconds."""
        reading = self.candidate[f"{name}Seconds"]
        error = reading.error or _few(name, reading.value, limit, (self.candidate,))
        said = f"By Prometheus {name}Seconds of {self.subject} is {_shown(reading.value)} s; " \
            f"at most {limit:g} s are allowed."  # fmt: skip
        values = {"value": reading.value, "error": error, "query": reading.query}
        return self._find(f"{name}Seconds", values, limit, said, (self.candidate,))

    def ratio(self, name: str, limit: float) -> Finding:
        """A time of the candidate, divided by the reference's."""
        missing = Reading("", None, "The revision beside it was not asked for it.")
        mine, other = self.candidate[f"{name}Seconds"], self.reference.get(f"{name}Seconds", missing)
        value, error = None, mine.error or other.error
        if mine.value is not None and other.value is not None:
            value = mine.value / other.value if other.value > 0 else None
            error = "The other's time is not above zero." if value is None else ""
        both = (self.candidate, self.reference)
        said = f"By Prometheus {name}Seconds of {self.subject} is {_shown(value)} times that of the " \
            f"revision beside it; at most {limit:g} times is allowed."  # fmt: skip
        values = {
            "value": value, "error": error or _few(name, value, limit, both),
            "candidate": mine.value, "reference": other.value,
            "queries": {"candidate": mine.query, "reference": other.query},
        }  # fmt: skip
        return self._find(f"{name}Ratio", values, limit, said, both)

    def _find(
        self, name: str, values: dict[str, Any], limit: float, said: str, whose: Sequence[Readings]
    ) -> Finding:  # fmt: skip
        limits = {"max": limit}
        if AGE in self.candidate:
            ages = [readings[AGE].value if AGE in readings else None for readings in whose]
            known = [age for age in ages if age is not None]
            values["ageSeconds"] = max(known, key=abs) if len(known) == len(ages) else None
            limits["maxAgeSeconds"] = self.max_age
        because = f" {values['error']}" if values["error"] else ""
        return find(f"prometheus.{name}", self.subject, "measured", values=values, limits=limits,
                    sentence=said + because)  # fmt: skip


def _few(name: str, value: float | None, limit: float, whose: Sequence[Readings]) -> str:
    """Why a value beyond its limit does not fail yet."""
    if value is None or value <= limit:
        return ""
    for readings in whose:
        requests = readings["requests"].value if "requests" in readings else None
        if requests is None or requests < ENOUGH[name]:
            return f"It comes from {_shown(requests)} requests; {ENOUGH[name]} of each say enough to fail."
    return ""


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
