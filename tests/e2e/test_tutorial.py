"""The tutorial, from its first line to its last, as a person follows it: what it shows is what comes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import CHECKOUT, Platform, make_platform

PAGE = CHECKOUT / "docs/tutorial.md"
BLOCK = re.compile(r"```(sh|yaml|text)\n(.*?)```", re.DOTALL)
ADDRESS = "http://127.0.0.1:6006"


@pytest.fixture
def reader(tmp_path: Path) -> Platform:
    """A checkout as a newcomer has it, with its environment made already."""
    platform = make_platform(tmp_path)
    platform.ask_no_speed()
    shutil.copytree(CHECKOUT / "docs", platform.checkout / "docs")
    shutil.copy2(CHECKOUT / "Makefile", platform.checkout)
    for path in CHECKOUT.glob("requirements*"):
        shutil.copy2(path, platform.checkout)
    (platform.checkout / ".venv").symlink_to(Path(sys.prefix))
    for path in platform.checkout.rglob("requirements*"):
        os.utime(path, (0, 0))  # make shall find the environment newer, and leave it alone
    return platform


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_every_step_of_the_tutorial_does_what_it_shows(reader: Platform) -> None:
    said = ""
    try:
        for kind, block in BLOCK.findall(PAGE.read_text()):
            if kind == "sh":
                said = shell(reader, block.replace(ADDRESS, reader.url))
            elif kind == "yaml":
                edits = yaml.safe_load(block)
                reader.configure(**{key.removeprefix("tts:"): value for key, value in edits.items()})
            else:
                missing = [line for line in block.splitlines() if line not in said]
                assert not missing, f"{missing} not in:\n{said}"
    finally:
        reader.run("down", "--stack", "dev")
    assert reader.processes() == []


def shell(reader: Platform, block: str) -> str:
    """What a block of commands says; each of them has to succeed."""
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=reader.checkout,
        env=reader.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=400)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)  # what make has begun, too
        raise
    assert process.returncode == 0, f"{block}\n{said}"
    return said
