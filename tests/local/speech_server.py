"""A small speech server for tests: it speaks, and fails on purpose as a test tells it."""

import json
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RATE = 24_000


def wav_bytes(
    samples: bytes, *, size: int = 0xFFFFFFFF, rate: int = RATE, bits: int = 16, channels: int = 1
) -> bytes:
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * block, block, bits)
    return (
        b"RIFF\xff\xff\xff\xffWAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", size)
        + samples
    )


TONE = struct.pack("<240h", *([8192, -8192] * 120)) * 10
"""0.1 s at 24 kHz, level -12 dBFS."""


class SpeechServer(ThreadingHTTPServer):
    """Answers as `behave(number)` says: whole, status, locked, cut, noise, empty or never (to its end)."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, behave: Callable[[int], str] = lambda _: "whole", version: str = "1.0.0") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behave = behave
        self.version = version
        self.requests: list[dict[str, str]] = []
        self.texts: list[str] = []
        self.counting = threading.Lock()
        self.ending = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=lambda: self.serve_forever(poll_interval=0.02), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SpeechServer

    def do_GET(self) -> None:  # what `release` of the demo's test does: another version from now on
        self.server.version = self.path.strip("/")
        self._answer(200, b"")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.counting:
            self.server.texts.append(body["input"])
            self.server.requests.append({name.lower(): value for name, value in self.headers.items()})
            how = self.server.behave(len(self.server.requests))
        if how == "never":
            self.server.ending.wait(20)
        match how:
            case "status":
                self._answer(503, b'{"error": "busy"}')
            case "locked":
                self._answer(401, b"{}")
            case "empty":
                self._answer(200, wav_bytes(b""))
            case "noise":
                self._answer(200, b"<html>hello</html>")
            case _:
                self._stream(cut=how == "cut")

    def _stream(self, *, cut: bool) -> None:
        self.send_response(200)
        self.send_header("x-tts-version", self.server.version)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pieces = [wav_bytes(b""), TONE[:1000], TONE[1000:]]
        for piece in pieces[: 2 if cut else 3]:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("x-tts-version", self.server.version)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
