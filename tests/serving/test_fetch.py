"""Model files from a real S3 server over a bad network: what arrives is right, or a sentence says why."""

import errno
import json
import os
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from serving.artifacts import Artifact
from serving.errors import ArtifactError, ServingError
from serving.storage import bucket, transfer
from serving.storage import cache as caching
from serving.storage.cache import Cache
from serving.storage.config import Endpoint, FetchConfig, Keys
from serving.storage.fetch import Fetch
from tests.object_store import ADMIN, BUCKET, READER, Network, ObjectStore, network
from tests.serving.conftest import Start, inference, poll, status
from tests.serving.test_artifacts import sha256

PART = 64 * 1024
BIG, SMALL = os.urandom(PART * 20 + 123), b"a small file"


@pytest.fixture(autouse=True)
def _small_parts_and_short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "PART_BYTES", PART)
    monkeypatch.setattr(bucket, "READ_BYTES", PART // 8)
    monkeypatch.setattr(transfer, "_FIRST_PAUSE", 0.02)


@pytest.fixture
def net(object_store: ObjectStore) -> Iterator[Network]:
    with network(object_store) as made:
        yield made


def artifact(content: bytes, key: str, path: str = "sub/weights.bin", **changes: Any) -> Artifact:
    source = f"s3://{BUCKET}/{key}"
    return Artifact(
        **{"path": path, "size": len(content), "sha256": sha256(content), "source": source} | changes
    )


def fetch(url: str, folder: Path, *artifacts: Artifact, **changes: Any) -> Fetch:
    keys = Keys(access_key_id=READER[0], secret_access_key=READER[1])
    values: dict[str, Any] = {
        "endpoint": Endpoint(address=url, region="us-east-1", keys=keys),
        "parallel": 4,
        "seconds": 20,
        "cache_dir": folder / "cache",
    }
    return Fetch(FetchConfig(**values | changes), artifacts, folder / "model")


def refused(fetching: Fetch) -> str:
    """The sentence of a fetch that fails; it holds no key, whatever the server said."""
    with pytest.raises(ServingError) as caught:
        fetching.run()
    assert caught.value.exit_code == 3
    chain: list[BaseException | None] = [caught.value]
    while chain[-1] is not None:
        chain.append(chain[-1].__cause__)
    for secret in (*READER, *ADMIN):
        assert not any(secret in repr(error) for error in chain)
    return str(caught.value)


def test_files_arrive_in_parts_and_stay_in_the_cache(
    net: Network, object_store: ObjectStore, tmp_path: Path
) -> None:
    object_store.put("a/big", BIG)
    object_store.put("a/small", SMALL)
    files = artifact(BIG, "a/big"), artifact(SMALL, "a/small", path="small.bin")
    fetching = fetch(net.url, tmp_path, *files)
    fetching.run()
    assert (tmp_path / "model/sub/weights.bin").read_bytes() == BIG
    assert (tmp_path / "model/small.bin").read_bytes() == SMALL
    assert fetching.state()["percent"] == 100
    assert {file.name for file in (tmp_path / "cache/sha256").iterdir()} == {sha256(BIG), sha256(SMALL)}

    sent = net.sent
    net.down = True
    fetch(net.url, tmp_path, *files).run()
    assert net.sent == sent, "what the cache has is not fetched again"


def test_a_cached_file_is_checked_before_it_is_used(
    net: Network, object_store: ObjectStore, tmp_path: Path
) -> None:
    object_store.put("b/big", BIG)
    fetch(net.url, tmp_path, artifact(BIG, "b/big")).run()
    with (tmp_path / "cache/sha256" / sha256(BIG)).open("r+b") as file:
        file.write(b"spoiled")
    fetch(net.url, tmp_path, artifact(BIG, "b/big")).run()
    assert (tmp_path / "model/sub/weights.bin").read_bytes() == BIG


def test_connections_that_are_cut_go_on_where_they_were(
    net: Network, object_store: ObjectStore, tmp_path: Path
) -> None:
    object_store.put("c/big", BIG)
    net.cut_after, net.cuts = PART // 2, 12
    fetching = fetch(net.url, tmp_path, artifact(BIG, "c/big"))
    fetching.run()
    assert (tmp_path / "model/sub/weights.bin").read_bytes() == BIG
    assert fetching.state()["cutConnections"] == 12
    assert net.sent < len(BIG) + 12 * PART // 4, "a part goes on in its middle"


def test_what_a_process_had_fetched_is_not_fetched_again(
    net: Network, object_store: ObjectStore, tmp_path: Path
) -> None:
    object_store.put("d/big", BIG)
    big = artifact(BIG, "d/big")
    filling = Cache(tmp_path / "cache").fill(big)
    assert filling
    for start, end in filling.missing()[:15]:
        filling.write(start, BIG[start:end])
        filling.complete(start)
    filling.close()  # as the kernel does for a process that is killed
    fetch(net.url, tmp_path, big).run()
    assert (tmp_path / "model/sub/weights.bin").read_bytes() == BIG
    assert PART * 5 < net.sent < PART * 7


def test_parts_that_were_left_wrong_are_fetched_again(
    net: Network, object_store: ObjectStore, tmp_path: Path
) -> None:
    object_store.put("e/big", BIG)
    big = artifact(BIG, "e/big")
    filling = Cache(tmp_path / "cache").fill(big)
    assert filling
    filling.write(0, b"x" * PART)
    filling.complete(0)
    filling.close()
    fetch(net.url, tmp_path, big).run()
    assert (tmp_path / "model/sub/weights.bin").read_bytes() == BIG


def test_two_pods_that_fill_one_cache_fetch_everything_once(
    net: Network, object_store: ObjectStore, tmp_path: Path
) -> None:
    object_store.put("f/big", BIG)
    net.slow = 0.01
    pods = [fetch(net.url, tmp_path, artifact(BIG, "f/big"), cache_dir=tmp_path / "cache") for _ in range(2)]
    threads = [threading.Thread(target=pod.run) for pod in pods]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(pod.state()["percent"] == 100 for pod in pods)
    assert (tmp_path / "model/sub/weights.bin").read_bytes() == BIG
    assert net.sent < len(BIG) * 1.2


@pytest.mark.parametrize(
    ("changes", "source", "says"),
    [
        ({}, f"s3://{BUCKET}/g/none", "The object s3://speech/g/none does not exist at http://"),
        ({}, "s3://nowhere/x", "refused access to s3://nowhere/x (403 AccessDenied)"),
        (
            {"keys": Keys(access_key_id=READER[0], secret_access_key="wrong")},
            "",
            "(403 SignatureDoesNotMatch): check",
        ),
        (
            {"keys": Keys(access_key_id="nobody", secret_access_key="wrong")},
            "",
            "(403 InvalidAccessKeyId): check",
        ),
        (
            {"keys": Keys(access_key_id=ADMIN[0], secret_access_key=ADMIN[1])},
            "s3://nowhere/x",
            "bucket of s3://nowhere/x",
        ),
    ],
)
def test_what_asking_again_would_not_change_is_said_at_once(
    object_store: ObjectStore, tmp_path: Path, changes: dict[str, Any], source: str, says: str
) -> None:
    object_store.put("g/big", BIG)
    keys = changes.get("keys") or Keys(access_key_id=READER[0], secret_access_key=READER[1])
    wanted = artifact(BIG, "g/big", **({"source": source} if source else {}))
    endpoint = Endpoint(address=object_store.url, region="us-east-1", keys=keys)
    said = refused(fetch(object_store.url, tmp_path, wanted, endpoint=endpoint))
    assert says in said
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"sha256": "0" * 64},
            "s3://speech/h/big holds another content than the catalog entry names. The model",
        ),
        ({"size": len(BIG) + 1}, f"has {len(BIG)} bytes, and {len(BIG) + 1} are expected"),
        ({"size": len(BIG) - 1}, f"has {len(BIG)} bytes, and {len(BIG) - 1} are expected"),
        ({"size": len(BIG) + PART * 40}, "s3://speech/h/big"),
    ],
)
def test_another_content_is_never_used(
    object_store: ObjectStore, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    object_store.put("h/big", BIG)
    assert says in refused(fetch(object_store.url, tmp_path, artifact(BIG, "h/big", **changes)))
    assert not (tmp_path / "model").exists()
    assert not [file for file in (tmp_path / "cache/sha256").iterdir() if not file.suffix]


def test_a_server_that_does_not_answer_is_given_up_in_time(net: Network, tmp_path: Path) -> None:
    net.down = True
    said = refused(fetch(net.url, tmp_path, artifact(BIG, "i/big"), seconds=0.5))
    assert "could not be fetched within 0.5 s: 0 of 1 MB (0 %)" in said
    assert "did not answer for s3://speech/i/big" in said
    assert "pullSeconds" in said


def test_a_full_disk_is_a_sentence(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    object_store.put("j/big", BIG)
    monkeypatch.setattr(Cache, "_free", lambda self: 1000)
    said = refused(fetch(object_store.url, tmp_path, artifact(BIG, "j/big")))
    assert "has 0 MB free, and the model files need 1 MB more" in said
    monkeypatch.undo()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(caching.os, "pwrite", full)
    assert "The disk of the cache is full" in refused(
        fetch(object_store.url, tmp_path, artifact(BIG, "j/big"))
    )


def test_room_is_made_of_what_nobody_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sha256"
    folder.mkdir()
    contents = {name: name.encode() * 1000 for name in ("oldest", "used", "newer", "needed")}
    files = {name: folder / sha256(content) for name, content in contents.items()}
    for age, (name, content) in enumerate(contents.items()):
        files[name].write_bytes(content)
        os.utime(files[name], (1e9 + age, 1e9 + age))
    users = Cache(tmp_path)
    assert users.use(artifact(contents["used"], "x"))
    os.utime(files["used"], (1e9 + 1, 1e9 + 1))
    removed: list[int] = []
    monkeypatch.setattr(Cache, "_free", lambda self: 100 * sum(not file.exists() for file in files.values()))

    Cache(tmp_path).make_room(100, keep=[artifact(contents["needed"], "x")])
    assert [name for name, file in files.items() if not file.exists()] == ["oldest"], removed
    with pytest.raises(ArtifactError, match="enlarge"):
        Cache(tmp_path).make_room(1000, keep=[artifact(contents["needed"], "x")])
    assert [name for name, file in files.items() if file.exists()] == ["used", "needed"]


class _Identity(BaseHTTPRequestHandler):
    """What gives a pod its credentials: the security token service, and the agent of pod identities."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        asked = f"{self.path}?{body}"
        assert "AssumeRoleWithWebIdentity" in asked, asked
        assert "WebIdentityToken=token-of-the-pod" in asked, asked
        self._answer(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
            f"<AccessKeyId>{READER[0]}</AccessKeyId><SecretAccessKey>{READER[1]}</SecretAccessKey>"
            "<SessionToken></SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
            "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )

    def do_GET(self) -> None:
        assert self.headers["Authorization"] == "token-of-the-pod"
        keys = {"AccessKeyId": READER[0], "SecretAccessKey": READER[1], "Token": ""}
        self._answer(json.dumps(keys | {"Expiration": "2099-01-01T00:00:00Z"}))

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize("kind", ["web identity", "pod identity"])
def test_without_a_secret_the_pod_is_its_own_identity(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    object_store.put("k/small", SMALL)
    token = tmp_path / "token"
    token.write_text("token-of-the-pod")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Identity) as server:
        scheme = "http"
        if kind == "web identity":  # asked for over TLS alone
            scheme, authority, context = "https", trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1").configure_cert(context)
            authority.cert_pem.write_to_path(tmp_path / "ca.pem")
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        variables = {
            "web identity": {
                "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
                "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/speech",
                "AWS_ENDPOINT_URL_STS": url,
            },
            "pod identity": {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/v1/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
            },
        }
        for name, value in variables[kind].items():
            monkeypatch.setenv(name, value)
        endpoint = Endpoint(address=object_store.url, region="us-east-1")
        fetch(object_store.url, tmp_path, artifact(SMALL, "k/small"), endpoint=endpoint).run()
        server.shutdown()
    assert (tmp_path / "model/sub/weights.bin").read_bytes() == SMALL


def test_no_identity_at_all_is_said(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://169.254.169.254")
    endpoint = Endpoint(address=object_store.url, region="us-east-1")
    said = refused(fetch(object_store.url, tmp_path, artifact(SMALL, "l/small"), endpoint=endpoint))
    assert "There are no credentials for s3://speech/l/small: neither a Secret nor AWS_*" in said


def test_an_identity_that_is_refused_is_said(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the object store, which stands here for an agent that knows no such pod."""
    token = tmp_path / "token"
    token.write_text("token-of-the-pod")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{object_store.url}/v1/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
    endpoint = Endpoint(address=object_store.url, region="us-east-1")
    said = refused(fetch(object_store.url, tmp_path, artifact(SMALL, "m/small"), endpoint=endpoint))
    assert "The pod's identity got no credentials for s3://speech/m/small (403" in said


def fetching_server_config(url: str, key: str) -> dict[str, Any]:
    config = inference("1.0.0", fetch={"endpoint": url, "region": "us-east-1", "parallel": 4, "seconds": 30})
    config["artifacts"] = [item | {"source": f"s3://{BUCKET}/{key}"} for item in config["artifacts"]]
    return config


def test_a_server_tells_how_far_it_is_and_then_speaks(
    start: Start, net: Network, object_store: ObjectStore, model_dir: Path, tmp_path: Path
) -> None:
    object_store.put("server/hibari.onnx", (model_dir / "hibari.onnx").read_bytes())
    net.slow = 0.02
    keys = {"TTS_OBJECT_STORE_ACCESS_KEY_ID": READER[0], "TTS_OBJECT_STORE_SECRET_ACCESS_KEY": READER[1]}
    server = start(
        tmp_path / "model",
        fetching_server_config(net.url, "server/hibari.onnx"),
        TTS_CACHE_DIR=str(tmp_path / "cache"),
        **keys,
    )
    seen: list[dict[str, Any]] = []

    def some_came() -> bool:
        if status(f"{server.url}/livez") is None:
            return False
        seen.append(requests.get(f"{server.url}/readyz", timeout=5).json())
        return bool(seen[-1].get("bytes"))

    poll(some_came, 20, server.process)
    assert status(f"{server.url}/livez") == 200
    assert status(f"{server.url}/readyz") == 503
    assert (seen[-1]["status"], seen[-1]["of"]) == ("fetching", 7936868)
    assert 0 < seen[-1]["percent"] < 100
    assert seen[-1]["megabytesPerSecond"] > 0
    assert seen[-1]["secondsLeft"] > 0
    net.slow = 0
    server.wait_ready()
    assert server.speak("It has arrived.").status_code == 200
    log = server.log.read_text()
    assert "Fetching: 0 of 8 MB (0 %)" in log
    assert "The model files are there after" in log
    assert not any(secret in log for secret in READER)
    server.process.kill()


def test_a_server_without_its_files_ends_with_a_sentence(
    start: Start, object_store: ObjectStore, tmp_path: Path
) -> None:
    keys = {"TTS_OBJECT_STORE_ACCESS_KEY_ID": READER[0], "TTS_OBJECT_STORE_SECRET_ACCESS_KEY": READER[1]}
    config = fetching_server_config(object_store.url, "server/none.onnx")
    server = start(tmp_path / "model", config, TTS_CACHE_DIR=str(tmp_path / "cache"), **keys)
    assert server.process.wait(30) == 3
    assert "The object s3://speech/server/none.onnx does not exist" in server.termination.read_text()
    assert "The object s3://speech/server/none.onnx does not exist" in server.log.read_text()
