"""Putting a version's files into a real S3 server, once and for all, and taking them from there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving import sources
from serving.storage import bucket
from tests.object_store import ADMIN, BUCKET, READER, ObjectStore, network
from tests.serving.conftest import ROOT
from tests.serving.test_artifacts import HELLO, sha256, write_entry


def run(store: ObjectStore, *words: str, keys: tuple[str, str] = ADMIN) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it, with the keys in the environment."""
    environ = {**os.environ, "AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1]}
    environ |= {"AWS_ENDPOINT_URL": store.url, "AWS_REGION": "us-east-1"}
    done = subprocess.run(
        [sys.executable, "-m", "serving.artifacts", *words],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not any(secret in done.stdout + done.stderr for secret in keys)
    return done


def upload(
    store: ObjectStore, entry: Path, *words: str, keys: tuple[str, str] = ADMIN
) -> subprocess.CompletedProcess[str]:
    return run(store, "upload", str(entry), f"s3://{BUCKET}/up", "--endpoint", store.url, *words, keys=keys)


def test_a_version_is_put_there_once(object_store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(HELLO)
    entry = write_entry(tmp_path, "file:weights.bin")
    first = upload(object_store, entry)
    assert first.returncode == 0, first.stderr
    content, metadata = object_store.read("up/toy/1.0.0/sub/weights.bin")
    assert (content, metadata["sha256"]) == (HELLO, sha256(HELLO))
    again = upload(object_store, entry)
    assert "is there already" in again.stdout

    (tmp_path / "weights.bin").write_bytes(b"other")
    other = upload(object_store, write_entry(tmp_path, "file:weights.bin", sha256=sha256(b"other")))
    assert other.returncode == 3
    assert "s3://speech/up/toy/1.0.0/sub/weights.bin holds another content" in other.stderr
    assert "publish this one under another version" in other.stderr
    assert object_store.read("up/toy/1.0.0/sub/weights.bin")[0] == HELLO


@pytest.mark.parametrize(("content", "code"), [(HELLO, 0), (b"jello", 3)])
def test_what_somebody_else_put_there_is_read(
    object_store: ObjectStore, tmp_path: Path, content: bytes, code: int
) -> None:
    (tmp_path / "weights.bin").write_bytes(HELLO)
    entry = write_entry(tmp_path, "file:weights.bin", path=f"by-hand-{code}.bin")
    object_store.put(f"up/toy/1.0.0/by-hand-{code}.bin", content)
    assert upload(object_store, entry).returncode == code


def test_a_folder_can_hold_the_files_and_a_wrong_one_stays_there(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    made = tmp_path / "made/sub"
    made.mkdir(parents=True)
    (made / "trained.bin").write_bytes(b"wrong")
    entry = write_entry(tmp_path, f"s3://{BUCKET}/own/trained.bin", path="sub/trained.bin")
    without = upload(object_store, entry)
    assert without.returncode == 3
    assert "is its own source" in without.stderr
    wrong = upload(object_store, entry, "--files", str(tmp_path / "made"))
    assert wrong.returncode == 3
    assert "is not the one its catalog entry names" in wrong.stderr
    (made / "trained.bin").write_bytes(HELLO)
    right = upload(object_store, entry, "--files", str(tmp_path / "made"))
    assert right.returncode == 0, right.stderr
    assert object_store.read("own/trained.bin")[0] == HELLO


def test_who_may_not_write_is_told_so(object_store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(HELLO)
    entry = write_entry(tmp_path, "file:weights.bin", path="forbidden.bin")
    done = upload(object_store, entry, keys=READER)
    assert done.returncode == 3
    assert "refused access to s3://speech/up/toy/1.0.0/forbidden.bin (403 AccessDenied)" in done.stderr
    nowhere = run(object_store, "upload", str(entry), "speech/up")
    assert "write s3://BUCKET/PREFIX" in nowhere.stderr


def test_a_large_file_goes_in_parts_with_its_sha256(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "_WHOLE_BYTES", 1 << 20)
    large = os.urandom(21 << 20)
    from serving.storage.config import Endpoint, Keys

    keys = Keys(access_key_id=ADMIN[0], secret_access_key=ADMIN[1])
    place = bucket.Bucket(BUCKET, Endpoint(address=object_store.url, region="us-east-1", keys=keys))
    chunks = [large[at : at + (8 << 20)] for at in range(0, len(large), 8 << 20)]
    place.put_parts("large", chunks, len(large), {"sha256": sha256(large)})
    content, metadata = object_store.read("large")
    assert (content == large, metadata["sha256"]) == (True, sha256(large))


def test_an_object_is_a_source_for_an_image(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    object_store.put("source/weights.bin", HELLO)
    entry = write_entry(tmp_path, f"s3://{BUCKET}/source/weights.bin")
    done = run(object_store, "fetch", str(entry), str(tmp_path / "model"), keys=READER)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model/sub/weights.bin").read_bytes() == HELLO

    missing = write_entry(tmp_path, f"s3://{BUCKET}/source/none.bin")
    done = run(object_store, "fetch", str(missing), str(tmp_path / "none"), keys=READER)
    assert (done.returncode, "source/none.bin does not exist" in done.stderr) == (3, True)

    large = os.urandom(1 << 20)
    object_store.put("source/large.bin", large)
    monkeypatch.setattr(sources, "_PAUSES", (0.01,) * 5)
    monkeypatch.setattr(bucket, "READ_BYTES", 64 * 1024)
    with network(object_store) as net:
        net.cut_after, net.cuts = 300_000, 3
        for name, value in (
            ("ENDPOINT_URL", net.url),
            ("ACCESS_KEY_ID", READER[0]),
            ("SECRET_ACCESS_KEY", READER[1]),
        ):
            monkeypatch.setenv(f"AWS_{name}", value)
        sources.read_source(f"s3://{BUCKET}/source/large.bin", tmp_path / "large.bin", tmp_path)
        assert net.cuts == 0
    assert (tmp_path / "large.bin").read_bytes() == large
