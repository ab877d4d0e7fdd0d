"""What `make bench-serving` makes of its figures: which aim is met, and which is not."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from tests.bench.aims import Line, all_of, at_most, percentile
from tests.bench.speech_clients import Answer

FIRST_AUDIO_TIMES = 1.15
"""First audio through the server, in multiples of the bare engine's."""
THROUGHPUT_TIMES = 0.95
"""Audio made in a second through the server, in multiples of the bare engine's."""
LONG_TEXT_SECONDS = 0.5
"""Until the first audio of 1,000 characters, for one client."""
GROWTH_PERCENT = 3.0
"""By which the server's memory may be larger after 1,000 requests than after 250."""
KEPT_TIMES = 1.25
"""First audio of who is let in under too much load, in multiples of that of a server that is just full."""
MOST_SECONDS = 30.0
"""By when every request has its answer, or its refusal."""


def ratio(values: Sequence[float], beside: Sequence[float]) -> float:
    """The median of how each value compares with the one that was measured beside it: what else the machine
    did falls on both."""
    return statistics.median(one / other for one, other in zip(values, beside, strict=True))


def first_audio(name: str, values: Sequence[float], bare: Sequence[float]) -> Line:
    """First audio against the bare engine's."""
    times = ratio(values, bare)
    return at_most(name, times, FIRST_AUDIO_TIMES, "x")


def throughput(name: str, values: Sequence[float], bare: Sequence[float]) -> Line:
    """Audio a second against the bare engine's."""
    times = ratio(values, bare)
    met = times >= THROUGHPUT_TIMES
    return Line(name=name, measured=f"{times:.2f} x", aim=f">= {THROUGHPUT_TIMES:g} x", met=met)


def long_text(name: str, values: Sequence[float]) -> Line:
    """First audio of a long text."""
    return at_most(name, 1000 * percentile(values, 99), 1000 * LONG_TEXT_SECONDS, "ms")


def memory(resident: Mapping[int, float]) -> Line:
    """Memory in MiB by the number of requests that were answered."""
    first, last = resident[min(count for count in resident if count)], resident[max(resident)]
    name = f"growth of the server's memory from {first:.0f} MiB on"
    return at_most(name, 100 * (last / first - 1), GROWTH_PERCENT, "%")


def overload(answers: Sequence[Answer], full: Sequence[Answer], *, times: int) -> list[Line]:
    """What became of `times` as many requests as can be answered, beside a server that is just full."""
    admitted = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 429]
    kept = percentile([answer.first_audio for answer in admitted or full], 99) / percentile(
        [answer.first_audio for answer in full], 99
    )
    name = f"at {times} x capacity:"
    with_time = sum(answer.retry_after is not None for answer in refused)
    whole = sum(answer.whole for answer in admitted)
    slowest = max(answer.total for answer in answers)
    return [
        at_most(f"{name} first audio of who is let in, p99, against a full server", kept, KEPT_TIMES, "x"),
        all_of(f"{name} let in and answered whole", whole, len(admitted)),
        all_of(f"{name} the rest has 429 with Retry-After", with_time, len(answers) - len(admitted)),
        at_most(f"{name} the slowest answer or refusal", slowest, MOST_SECONDS, "s"),
    ]
