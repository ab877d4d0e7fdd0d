"""The Dockerfile takes along all that the server and the fetching of its model need."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dockerfiles import unpack
from tests.serving.conftest import ROOT

DOCKERFILE = ROOT / "serving/engines/hibari/Dockerfile"


def test_what_is_copied_is_enough(tmp_path: Path) -> None:
    unpack(DOCKERFILE, tmp_path)
    app = tmp_path / "app"
    program = (
        "import json, sys, serving.server, serving.sources, serving.engines.hibari.engine as engine\n"
        "unneeded = 'obstore' in sys.modules\n"
        "import serving.storage.fetch, serving.storage.bucket, serving.storage.upload, obstore\n"
        "print(json.dumps([[engine.__file__, serving.server.__file__], unneeded]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=app, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    files, unneeded = json.loads(done.stdout)
    assert all(Path(file).is_relative_to(app) for file in files)
    assert not unneeded, "only a server that speaks to a bucket loads what that takes"
    for file in ("page/index.html", "engines/hibari/dequantise.py", "engines/hibari/build-requirements.txt"):
        assert (app / "serving" / file).is_file()


def test_the_server_does_not_need_onnx() -> None:
    locked = (ROOT / "serving/engines/hibari/requirements.txt").read_text()
    assert "\nonnxruntime==" in locked
    assert "\nonnx==" not in locked


ENGINES = sorted(path.parent for path in ROOT.glob("serving/engines/*/Dockerfile"))


def of_the_server(lines: list[str]) -> set[str]:
    """The COPY lines that are no engine's own."""
    return {
        line
        for line in lines
        if line.startswith("COPY ") and not re.search(r"serving/engines/\w+/|--from", line)
    }


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_the_image_of_every_engine_holds_the_same_server(engine: Path) -> None:
    first = of_the_server(DOCKERFILE.read_text().splitlines())
    assert of_the_server((engine / "Dockerfile").read_text().splitlines()) == first
    assert len(first) >= 5
    needs = set((DOCKERFILE.with_name("requirements.in")).read_text().splitlines()[1:]) - {
        "hibari-tts==0.2.1"
    }
    assert needs <= set((engine / "requirements.in").read_text().splitlines())
