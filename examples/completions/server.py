"""A small server of another kind of model: it goes on with a text, word by word, by what usually follows.

All that the release asks of a server, in one file: docs/contracts.md, "The server". In the image it is
`python -m serving`, as the pods' command says.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from serving.artifacts import Artifact, verify
from serving.errors import ServingError

DRAIN_SECONDS = 0.5
MOST_TOKENS = 64


class Model:
    """After the last words of a text, as many as the model looks at, comes the likeliest one."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.order = int(document["order"])
        self.next: Mapping[str, str] = document["next"]

    def complete(self, prompt: str, tokens: int) -> str:
        """At most so many words; none where nothing is known to follow."""
        words = prompt.lower().split()
        said: list[str] = []
        while len(said) < tokens:
            following = self.next.get(" ".join(words[-self.order :]))
            if following is None:
                break
            said.append(following)
            words.append(following)
        return " ".join(said)


class Server(ThreadingHTTPServer):
    """One model; `draining` once it has been told to end."""

    daemon_threads = False  # what is under way is finished
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], config: Mapping[str, Any]) -> None:
        super().__init__(address, Handler)
        self.config = config
        self.model: Model | None = None
        self.draining = False


class Handler(BaseHTTPRequestHandler):
    """Each answer says which revision it is from."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        config = self.server.config
        about = {key: config[key] for key in ("model", "version", "revision", "engine")}
        match self.path:
            case "/livez":
                self._answer(200, {"status": "alive"})
            case "/readyz" if self.server.model is None:
                self._answer(503, {"status": "loading"})
            case "/readyz" if self.server.draining:
                self._answer(503, {"status": "draining"})
            case "/readyz":
                self._answer(200, {"status": "ready"})
            case "/version":
                self._answer(200, about)
            case "/v1/models":
                self._answer(200, {"object": "list", "data": [{"id": config["model"], "object": "model"}]})
            case _:
                self._answer(404, {"error": {"message": f"There is no {self.path}."}})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/v1/completions" or self.server.model is None:
            self._answer(404 if self.server.model else 503, {"error": {"message": "Ask /v1/completions."}})
            return
        try:
            wanted = json.loads(body)
            prompt, tokens = str(wanted["prompt"]), min(int(wanted.get("max_tokens", 16)), MOST_TOKENS)
        except (ValueError, KeyError, TypeError):
            self._answer(400, {"error": {"message": "Write a JSON object with a prompt."}})
            return
        text = self.server.model.complete(prompt, tokens)
        choice = {"index": 0, "text": text, "finish_reason": "length" if text else "stop"}
        model = self.server.config["model"]
        self._answer(200, {"object": "text_completion", "model": model, "choices": [choice]})

    def _answer(self, status: int, document: Mapping[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for header in ("version", "revision"):
            self.send_header(f"x-tts-{header}", self.server.config[header])
        if self.server.draining:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """A line a request would tell nothing here."""


def main() -> int:
    """Runs the server until SIGTERM; returns the exit code."""
    config = json.loads(Path(os.environ.get("TTS_CONFIG", "/etc/tts/inference.json")).read_text())
    folder = Path(os.environ.get("TTS_MODEL_DIR", "/model"))
    artifacts = [Artifact.parse(each) for each in config["artifacts"]]
    try:
        verify(artifacts, folder)
    except ServingError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    address = (os.environ.get("TTS_BIND", "0.0.0.0"), int(os.environ.get("TTS_PORT", "8080")))  # noqa: S104
    server = Server(address, config)
    signal.signal(signal.SIGTERM, lambda *_: _drain(server))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    server.model = Model(json.loads((folder / artifacts[0].path).read_text()))
    thread.join()
    server.server_close()
    return 0


def _drain(server: Server) -> None:
    """Answers what still comes for a moment: the gateway may not have heard yet."""
    server.draining = True
    threading.Timer(DRAIN_SECONDS, server.shutdown).start()


if __name__ == "__main__":
    sys.exit(main())
