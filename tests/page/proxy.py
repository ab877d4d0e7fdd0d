"""A gateway in small: one port for several servers, a version reached by its header, and faults on demand."""

import http.client
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.ports import free_port

SPEECH = "/v1/audio/speech"
HELD_BYTES = 60_000
_HOP = ("transfer-encoding", "connection", "keep-alive", "server", "date")


@dataclass
class Proxy:
    """What it does is changed while it runs; `asked`: method, path, headers and JSON of each request."""

    ports: dict[str, int]  # by version, the first one for requests that name none
    port: int = field(default_factory=free_port)
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    answers: list[tuple[str, int, dict[str, str], Any]] = field(default_factory=list)
    cut_after: int | None = None  # bytes of a speech, then the connection breaks
    held: threading.Event | None = None  # a speech stops after HELD_BYTES until this is set

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, status: int, body: Any = None, **headers: str) -> None:
        """Answers one request for `path` (a pattern of fnmatch) itself, with JSON; `status` 0 hangs up."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append((path, status, named, body))

    def refuse(self, status: int, code: str, **headers: str) -> None:
        """Answers one speech request with an error of OpenAI's shape."""
        error = {"message": f"It is {code}.", "type": "server_error", "param": None, "code": code}
        self.answer(SPEECH, status, {"error": error}, **headers)

    def taken(self, path: str) -> tuple[int, dict[str, str], Any] | None:
        """The answer for this request, if it is answered here; it is used up."""
        for waiting in self.answers:
            if fnmatch(path, waiting[0]):
                self.answers.remove(waiting)
                return waiting[1:]
        return None

    def spoken(self) -> list[tuple[dict[str, str], Any]]:
        """The headers and bodies of the speech requests."""
        return [(headers, body) for _, path, headers, body in self.asked if path == SPEECH]

    def reset(self) -> None:
        self.asked.clear()
        self.answers.clear()
        self.cut_after = None
        if self.held:
            self.held.set()
        self.held = None

    @contextmanager
    def running(self) -> Iterator["Proxy"]:
        proxy = self

        class Handler(_Handler):
            pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                if not isinstance(sys.exception(), ConnectionError):  # a browser that hangs up
                    super().handle_error(request, client_address)

        Handler.proxy = proxy
        server = Server(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.reset()
            server.shutdown()
            thread.join()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def _carry(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        is_json = headers.get("content-type", "").startswith("application/json")
        self.proxy.asked.append((self.command, self.path, headers, json.loads(body) if is_json else None))
        if waiting := self.proxy.taken(self.path):
            self._answer(*waiting)
        else:
            self._forward(body, headers)

    do_GET = do_POST = do_DELETE = _carry  # noqa: N815 - the names that http.server calls

    def _answer(self, status: int, headers: dict[str, str], body: Any) -> None:
        if status == 0:
            self.close_connection = True
            return
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _forward(self, body: bytes, headers: dict[str, str]) -> None:
        ports = self.proxy.ports
        port = ports.get(headers.get("x-tts-version", ""), next(iter(ports.values())))
        upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            sent = {name: value for name, value in headers.items() if name not in _HOP}
            upstream.request(self.command, self.path, body, sent)
            answer = upstream.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            if answer.headers.get("x-request-id") is None:
                self.send_header("x-request-id", f"r{len(self.proxy.asked)}")
            if answer.status in (204, 304) or answer.length is not None:
                self.end_headers()
                self.wfile.write(answer.read())
            else:
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                self._stream(answer)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            upstream.close()

    def _stream(self, answer: http.client.HTTPResponse) -> None:
        sent = 0
        while piece := answer.read1(65536):
            if self.proxy.cut_after is not None and sent + len(piece) > self.proxy.cut_after:
                piece = piece[: self.proxy.cut_after - sent]
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                self.close_connection = True
                return  # without the end of the chunks
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
            sent += len(piece)
            if self.proxy.held and sent >= HELD_BYTES:
                self.proxy.held.wait(20)
        self.wfile.write(b"0\r\n\r\n")
