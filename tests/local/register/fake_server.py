"""A server of no model, in place of `python -m serving`: it beeps as long as the text is, or does what its
model file says: `silent`, `dies`."""

import json
import math
import os
import struct
import sys
import wave
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

CONFIG = json.loads(Path(os.environ["TTS_CONFIG"]).read_text())
BEHAVIOUR = (Path(os.environ["TTS_MODEL_DIR"]) / CONFIG["artifacts"][0]["path"]).read_text().strip()
CHARACTERS_PER_SECOND = 14.0


def beep(seconds: float, rate: int) -> bytes:
    level = 0 if BEHAVIOUR == "silent" else 6000
    samples = [round(level * math.sin(number / 8)) for number in range(int(seconds * rate))]
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, rate, len(samples), "NONE", ""))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return out.getvalue()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        keys = ("model", "version", "revision", "engine", "sampleRate")
        self.answer(json.dumps({key: CONFIG[key] for key in keys}).encode())

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        self.answer(beep(len(text) / CHARACTERS_PER_SECOND, CONFIG["sampleRate"]))

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        for header in ("version", "revision"):
            self.send_header(f"x-tts-{header}", CONFIG[header])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if BEHAVIOUR == "dies":
    Path(os.environ["TTS_TERMINATION_LOG"]).write_text("The weights are of another shape.\n")
    sys.exit(4)
ThreadingHTTPServer((os.environ["TTS_BIND"], int(os.environ["TTS_PORT"])), Handler).serve_forever()
