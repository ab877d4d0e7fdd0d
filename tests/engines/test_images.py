"""The Dockerfile of each engine takes along all that its server imports."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dockerfiles import unpack
from tests.engines.conftest import ROOT


@pytest.mark.parametrize("engine", ["voxcpm", "glm_tts"])
def test_what_is_copied_is_enough(engine: str, tmp_path: Path) -> None:
    unpack(ROOT / f"serving/engines/{engine}/Dockerfile", tmp_path)
    app = tmp_path / "app"
    program = (
        f"import json, serving.server, serving.engines.{engine}.engine as engine\n"
        "print(json.dumps([engine.__file__, serving.server.__file__]))"
    )
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).with_name("fake_glm_tts"))}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=app, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(Path(file).is_relative_to(app) for file in json.loads(done.stdout.splitlines()[-1]))
    assert (app / "serving/page/index.html").is_file()
