"""A container registry in memory, as far as clients push to it: blobs, mounts, manifests, logins."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.ports import free_port

USER, PASSWORD, TOKEN = "ann", "se:cret", "t0ken"


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class RegistryStub:
    """`login` is "", "basic" or "bearer". `tells_digest=False` leaves a header out, as some registries do."""

    name: str
    login: str = ""
    tells_digest: bool = True
    blobs: dict[str, set[str]] = field(default_factory=dict)
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    uploads: int = 0

    def put_blob(self, repository: str, content: bytes) -> str:
        self.blobs.setdefault(repository, set()).add(sha(content))
        return sha(content)

    def put_manifest(self, repository: str, tag: str, content: bytes) -> str:
        for name in (tag, sha(content)):
            self.manifests[repository, name] = content
        return sha(content)


@contextmanager
def serving(**options: object) -> Iterator[RegistryStub]:
    """A registry on a loopback port while the block runs."""
    port = free_port()
    registry = RegistryStub(f"127.0.0.1:{port}", **options)
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"registry": registry}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    registry: RegistryStub
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.body = self.rfile.read(length)
        url = urlsplit(self.path)
        self.query = {key: value[0] for key, value in parse_qs(url.query).items()}
        self.registry.asked.append(f"{self.command} {self.path}")
        if url.path == "/token":
            return self._token()
        if not self._admitted():
            challenge = (
                f'Bearer realm="http://{self.registry.name}/token",service="stub",scope="repository:x:pull"'
            )
            told = challenge if self.registry.login == "bearer" else 'Basic realm="stub"'
            return self._answer(401, {"WWW-Authenticate": told})
        repository, _, rest = url.path.removeprefix("/v2/").rpartition("/manifests/")
        if repository:
            return self._manifest(repository, rest)
        repository, _, rest = url.path.removeprefix("/v2/").partition("/blobs/")
        return self._blob(repository, rest)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815 - the names that http.server calls

    def _admitted(self) -> bool:
        given = self.headers.get("authorization", "")
        return given == {"": given, "basic": _basic(), "bearer": f"Bearer {TOKEN}"}[self.registry.login]

    def _token(self) -> None:
        if self.headers.get("authorization") != _basic():
            return self._answer(401, {})
        assert self.query["service"] == "stub"
        return self._answer(200, {}, json.dumps({"token": TOKEN}).encode())

    def _manifest(self, repository: str, wanted: str) -> None:
        if self.command == "PUT":
            document = json.loads(self.body)
            there = self.registry.blobs.get(repository, set())
            if lacking := {item["digest"] for item in (document["config"], *document["layers"])} - there:
                message = f"blob unknown to registry: {sorted(lacking)}"
                return self._answer(400, {}, json.dumps({"errors": [{"message": message}]}).encode())
            self.registry.put_manifest(repository, wanted, self.body)
            return self._answer(201, {})
        content = self.registry.manifests.get((repository, wanted))
        if content is None:
            return self._answer(404, {})
        headers = {"Docker-Content-Digest": sha(content)} if self.registry.tells_digest else {}
        return self._answer(200, headers, content)

    def _blob(self, repository: str, rest: str) -> None:
        there = self.registry.blobs.setdefault(repository, set())
        if self.command == "HEAD":
            return self._answer(200 if rest in there else 404, {})
        if self.command == "PUT":
            assert sha(self.body) == self.query["digest"]
            there.add(sha(self.body))
            return self._answer(201, {})
        if self.command == "DELETE":
            self.registry.uploads -= 1
            return self._answer(204, {})
        mounted = self.query.get("mount")
        if mounted in self.registry.blobs.get(self.query.get("from", ""), set()):
            there.add(str(mounted))
            return self._answer(201, {})
        self.registry.uploads += 1
        return self._answer(202, {"Location": f"/v2/{repository}/blobs/uploads/1?state=x"})

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def _basic() -> str:
    return f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
