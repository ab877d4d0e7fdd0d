"""`make bench-serving`: the speech server against the bare engine, and what it does under load.

    python -m tests.bench.serving --runs 8

Three speak in turn in one run, so that whatever else the machine does falls on all: the bare engine in this
process, the pod asked directly, and the same pod through the gateway of an embedded platform. The pod has a
slot for each core but one, which is left to the callers. `--short` asks for less of everything: a look in a
minute, whose figures are rough.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from hibari import Hibari

from tests.bench import serving_aims as aims
from tests.bench.speech_clients import RATE, Answer, Caller, closed_loop, open_loop
from tests.bench.texts import LONG, SENTENCE, UNPUNCTUATED
from tests.e2e.conftest import Platform, make_platform, read_environment

SLOTS = max(1, (os.cpu_count() or 2) - 1)
TEXTS = {"one sentence": SENTENCE, "1,000 characters": LONG, "1,000 without punctuation": UNPUNCTUATED}
CLIENTS = (1, 2, 4, 8, 32)
PLACES = (8 + 32) * SLOTS
"""Requests that the server takes on at once: those that it answers, and those that wait."""
BUSY_CLIENTS = 4
BURST = 20
"""Requests in a row, when throughput is measured."""
OVERLOAD = 4
POD, GATEWAY = "the pod", "the gateway"


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much is asked for."""

    runs: int
    requests: int
    """In the rows of the table of clients; as many more as there are clients thrice."""
    remembered: tuple[int, ...]
    """After how many requests the memory is looked at."""
    overload_seconds: float


def amount(runs: int, *, short: bool) -> Amount:
    """What a whole run asks for, or a short one."""
    if short:
        return Amount(
            runs=min(runs, 3),
            requests=20,
            remembered=(0, 25, 50, 100),
            overload_seconds=3,
        )
    return Amount(runs=runs, requests=100, remembered=(0, 250, 500, 1000), overload_seconds=8)


@dataclass
class Bench:
    """Who speaks, and the lines of what was measured."""

    bare: Hibari
    urls: dict[str, str]
    process: int
    lines: list[aims.Line] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every aim is met."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.serving", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=8, help="how often first audio and throughput are measured"
    )
    parser.add_argument("--short", action="store_true", help="ask for less of everything: a minute")
    options = parser.parse_args(arguments)
    asked = amount(options.runs, short=options.short)
    with tempfile.TemporaryDirectory(prefix="tts-bench-") as folder, served(Path(folder)) as bench:
        print(f"{SLOTS} of {os.cpu_count()} cores speak; load {os.getloadavg()[0]:.1f}.", flush=True)
        first_audio(bench, asked)
        throughput(bench, asked)
        capacity, full = clients(bench, asked)
        memory(bench, asked)
        overload(bench, asked, capacity, full)
    print("\nmeasured beside its aim")
    print("\n".join(map(str, bench.lines)))
    return 0 if all(line.met for line in bench.lines) else 1


@contextmanager
def served(folder: Path) -> Iterator[Bench]:
    """A stack of its own on an embedded platform, and the bare engine with the same model; nothing is left of
    either."""
    platform = make_platform(folder)
    platform.ask_no_speed()
    platform.configure(slots=SLOTS)
    try:
        first = platform.up()
        if first.status:
            raise SystemExit(first.text)
        yield bench_of(platform)
    finally:
        platform.run("down", "--stack", "dev")


def bench_of(platform: Platform) -> Bench:
    """The one server of a platform."""
    (process,) = platform.server_processes()
    environment = read_environment(process)
    bare = Hibari(model=str(Path(environment["TTS_MODEL_DIR"]) / "hibari.onnx"), threads=1)
    bare("Warm up, xyloquix.")
    pod = f"http://{environment['TTS_BIND']}:{environment.get('TTS_PORT', 8080)}"
    return Bench(bare=bare, urls={POD: pod, GATEWAY: platform.url}, process=process)


def first_audio(bench: Bench, asked: Amount) -> None:
    """One client; each text is spoken to its end before the next one, by whose turn it is."""
    print(
        "\nfirst audio in ms, median (p99)".ljust(40)
        + "bare engine".rjust(16)
        + POD.rjust(16)
        + GATEWAY.rjust(16)
    )
    callers = {name: Caller(url) for name, url in bench.urls.items()}
    for name, text in TEXTS.items():
        seconds: dict[str, list[float]] = {"bare": [], POD: [], GATEWAY: []}
        for run in range(2 * asked.runs + 1):
            found = {"bare": bare_first_audio(bench.bare, text)}
            found |= {who: caller.speak(text).first_audio for who, caller in callers.items()}
            for who, value in found.items() if run else ():  # the first turn warms up connections and caches
                seconds[who].append(value)
        print(name.ljust(39) + "".join(spread(values).rjust(16) for values in seconds.values()), flush=True)
        for who in (POD, GATEWAY):
            bench.lines.append(aims.first_audio(f"first audio, {name}: {who}", seconds[who], seconds["bare"]))
            if text is LONG:
                bench.lines.append(aims.long_text(f"first audio, {name}, p99: {who}", seconds[who]))
    for caller in callers.values():
        caller.close()


def bare_first_audio(bare: Hibari, text: str) -> float:
    """Seconds until the engine has its first chunk; it then speaks on, as it does for the others."""
    began = time.monotonic()
    chunks = bare.stream(text, seed=1)
    next(chunks)
    seconds = time.monotonic() - began
    for _ in chunks:
        pass
    return seconds


def throughput(bench: Bench, asked: Amount) -> None:
    """The same sentences one after the other, through the server for several clients at once."""
    made: dict[str, list[float]] = {"bare": [], POD: [], GATEWAY: []}
    worked = dict.fromkeys(made, 0.0)
    for _ in range(3 * asked.runs):  # short bursts in turn: who is slowed by a busy moment is soon another
        before = processor_seconds(os.getpid())
        made["bare"].append(bare_throughput(bench.bare, BURST))
        worked["bare"] += (processor_seconds(os.getpid()) - before) / BURST
        for who, url in bench.urls.items():
            before = processor_seconds(bench.process)
            answers, seconds = closed_loop(
                url, [SENTENCE], clients=BUSY_CLIENTS * SLOTS, requests=BURST * SLOTS
            )
            worked[who] += (processor_seconds(bench.process) - before) / len(answers)
            made[who].append(sum(answer.audio for answer in answers) / seconds / SLOTS)
    print("\nseconds of audio made in a second by each slot, median; ms of the processor for a request")
    for who, values in made.items():
        each = 1000 * worked[who] / len(values)
        print(f"  {who:<14} {aims.percentile(values, 50):6.1f} {each:30.1f}", flush=True)
    for who in (POD, GATEWAY):
        bench.lines.append(aims.throughput(f"throughput: {who}", made[who], made["bare"]))


def bare_throughput(bare: Hibari, requests: int) -> float:
    """Seconds of audio a second, on one core."""
    began = time.monotonic()
    samples = sum(np.size(bare(SENTENCE, seed=1)) for _ in range(requests))
    return samples / RATE / (time.monotonic() - began)


def clients(bench: Bench, asked: Amount) -> tuple[float, list[Answer]]:
    """More and more callers through the gateway; returns how many requests a second are answered when it is
    busy, and the answers of a server that has as many callers as it takes on."""
    print(
        "\nclients, one sentence   requests/s   first audio in ms, p50 (p99)   whole answer in ms, p50 (p99)"
    )
    rate, answers = 0.0, []
    for number in (*CLIENTS, PLACES):
        answers, seconds = closed_loop(
            bench.urls[GATEWAY], [SENTENCE], clients=number, requests=asked.requests + 3 * number
        )
        rate = max(rate, len(answers) / seconds)
        firsts, totals = [one.first_audio for one in answers], [one.total for one in answers]
        print(
            f"{number:>21} {len(answers) / seconds:>12.1f} {spread(firsts):>31} {spread(totals):>31}",
            flush=True,
        )
        whole = sum(answer.whole for answer in answers)
        bench.lines.append(aims.all_of(f"{number} clients: answered whole", whole, len(answers)))
    return rate, answers


def memory(bench: Bench, asked: Amount) -> None:
    """The pod's memory while it speaks texts of every length."""
    resident: dict[int, float] = {}

    def look(count: int) -> None:
        if count in asked.remembered:
            resident[count] = resident_mib(bench.process)

    look(0)
    texts = [LONG[:length] for length in (20, 300, 60, 120, 40, 200)]
    closed_loop(bench.urls[POD], texts, clients=BUSY_CLIENTS, requests=max(asked.remembered), told=look)
    print("\nrequests answered   memory of the server in MiB")
    for count, size in resident.items():
        print(f"{count:>17,} {size:>29.0f}", flush=True)
    bench.lines.append(aims.memory(resident))


def processor_seconds(process: int) -> float:
    """What a process and its threads have worked so far, however busy the machine is."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(process: int) -> float:
    """What a process has in memory."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def overload(bench: Bench, asked: Amount, capacity: float, full: Sequence[Answer]) -> None:
    """Requests through the gateway, more than can be answered, whatever becomes of those before."""
    rate = OVERLOAD * capacity
    answers = open_loop(bench.urls[GATEWAY], SENTENCE, rate=rate, requests=int(rate * asked.overload_seconds))
    admitted = [answer.first_audio for answer in answers if answer.status == 200]
    refused = [answer.total for answer in answers if answer.status == 429]
    print(
        f"\n{rate:.0f} requests/s, {OVERLOAD} x capacity: {len(answers)} sent, {len(admitted)} let in, ",
        end="",
    )
    print(f"{len(refused)} refused; first audio of who is let in {spread(admitted)} ms, p50 (p99)")
    print(f"refused after {spread(refused)} ms, p50 (p99)" if refused else "", flush=True)
    bench.lines += aims.overload(answers, full, times=OVERLOAD)


def spread(seconds: Sequence[float]) -> str:
    """Median and p99 in milliseconds."""
    if not seconds:
        return "-"
    return f"{1000 * aims.percentile(seconds, 50):.0f} ({1000 * aims.percentile(seconds, 99):.0f})"


if __name__ == "__main__":
    sys.exit(main())
