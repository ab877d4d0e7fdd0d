"""Both ends of storage on the embedded platform: model files from a bucket, answers on a volume at home."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from local.wav import decode
from tests.e2e.conftest import Traffic, make_platform
from tests.e2e.live import Api, not_kept
from tests.object_store import ADMIN, BUCKET, running
from tests.waiting import eventually

pytestmark = pytest.mark.matrix


def test_a_stack_fetches_its_models_and_keeps_its_answers(tmp_path: Path) -> None:
    with running(tmp_path / "objects") as objects:
        platform = make_platform(tmp_path / "platform")
        platform.ask_no_speed()
        # On this platform a pod is who started it.
        platform.extra = {"AWS_ACCESS_KEY_ID": ADMIN[0], "AWS_SECRET_ACCESS_KEY": ADMIN[1]}
        place = {"bucket": BUCKET, "prefix": "models", "endpoint": objects.url}
        platform.configure(delivery="objectStore", objectStore=place)
        try:
            for version in ("1.0.0", "1.1.0"):
                uploaded = platform.run("upload", version)
                assert uploaded.status == 0, uploaded.text
            assert "is there already" in platform.run("upload", "1.1.0").text
            first = platform.up("--config", "store.claim=kept")
            assert first.status == 0, first.text
            answer = platform.speak("Keep this at home.")
            file = platform.home / "claims/tts/kept" / answer.headers["x-tts-output"]
            eventually(lambda: file.with_name(f"{file.name}.metadata.json").is_file())
            assert decode(file.read_bytes()).sample_rate == 24000
            assert json.loads(file.with_name(f"{file.name}.metadata.json").read_text())["version"] == "1.0.0"
            kept = platform.home / "claims/tts/kept"
            assert list((kept / "outputs").rglob("*.wav")) == [file], "the release's own are none"
            assert not_kept(Api(platform.home).receipt()["receipt.json"], platform.home) == []

            with Traffic(platform, per_second=5) as traffic:
                done = platform.up("--config", "store.claim=kept", "--config", "modelVersion=1.1.0")
            assert done.status == 0, done.text
            assert traffic.faults == []
            assert platform.live_version() == "1.1.0"
            entry = platform.checkout / "models/hibari/1.1.0.yaml"
            own = f"source: s3://{BUCKET}/models/hibari/1.1.0/hibari.onnx"
            entry.write_text(re.sub(r"source: derived:\S+", own, entry.read_text()))
            built = platform.up("--config", "delivery=image", "--config", "modelVersion=1.1.0")
            assert built.status == 0, built.text
            assert "Image model-image-1.1.0: built" in built.text, "an object is a source for an image too"
            assert "x-tts-output" not in platform.speak().headers, "this stack has no store any more"

        finally:
            platform.run("down", "--stack", "dev")
        assert file.is_file(), "what was kept stays when the stack goes"
        assert platform.processes() == []
