"""First audio through the server against the bare engine, side by side.

    python -m tests.bench.serving_first_audio --runs 20

A text of 1,000 characters, with sentences and without punctuation, is asked for in every format by one
client, in turn with the bare engine in a process of its own; so whatever else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

from serving.encoding import FORMATS
from tests.bench.texts import LONG, UNPUNCTUATED
from tests.ports import free_port
from tests.serving.conftest import ROOT, fetch, inference, poll, status

TEXTS = {"sentences": LONG, "no punctuation": UNPUNCTUATED}
BARE = """
import json, sys, time
from hibari import Hibari
engine = Hibari(model=sys.argv[1])
engine("Warm up, xyloquix.")
print("ready", flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    next(iter(engine.stream(json.loads(line), seed=1)))
    print(time.perf_counter() - began, flush=True)
"""


def bare_engine(model: Path) -> tuple[subprocess.Popen[str], Callable[[str], float]]:
    """The engine in a process, and how to ask it for the seconds to its first chunk."""
    process = subprocess.Popen(
        [sys.executable, "-c", BARE, str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    lines, answers = process.stdin, process.stdout
    answers.readline()

    def ask(text: str) -> float:
        lines.write(json.dumps(text) + "\n")
        lines.flush()
        return float(answers.readline())

    return process, ask


def first_audio(port: int, text: str, response_format: str) -> float:
    """Seconds from the request to the first bytes behind a WAV header's length."""
    body = json.dumps({"model": "tts", "input": text, "response_format": response_format, "seed": 1})
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    began = time.perf_counter()
    connection.request("POST", "/v1/audio/speech", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200
    answer.read(100)
    seconds = time.perf_counter() - began
    connection.close()
    return seconds


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        assert fetch(ROOT / "models/hibari/1.0.0.yaml", home).returncode == 0
        (home / "inference.json").write_text(json.dumps(inference("1.0.0")))
        port = free_port()
        environ = {
            **os.environ,
            **{"TTS_CONFIG": str(home / "inference.json"), "TTS_MODEL_DIR": folder, "TTS_BIND": "127.0.0.1"},
            "TTS_PORT": str(port),
        }
        server = subprocess.Popen(
            [sys.executable, "-m", "serving"], cwd=ROOT, env=environ, stdout=subprocess.DEVNULL
        )
        engine, ask = bare_engine(home / "hibari.onnx")
        try:
            poll(lambda: status(f"http://127.0.0.1:{port}/readyz") == 200, 60, server)
            for name, text in TEXTS.items():
                table(name, text, port, ask, runs)
        finally:
            for process in (server, engine):
                process.terminate()
                process.wait()


def table(name: str, text: str, port: int, ask: Callable[[str], float], runs: int) -> None:
    """Prints the rows of one text; a client that is gone leaves its chunk to end first."""
    print(
        f"\n{name}, {len(text)} characters, load {os.getloadavg()[0]:.1f}: first audio in ms, median (worst)"
    )
    times: dict[str, list[float]] = {"bare engine": [], **{one: [] for one in FORMATS}}
    for _ in range(runs):
        times["bare engine"].append(ask(text))
        for one in FORMATS:
            times[one].append(first_audio(port, text, one))
            time.sleep(0.2)
    for one, seconds in times.items():
        print(f"  {one:<12} {statistics.median(seconds) * 1000:6.0f} ({max(seconds) * 1000:.0f})", flush=True)


if __name__ == "__main__":
    main()
