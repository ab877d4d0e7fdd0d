"""The Makefile's words mean what the README says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def planned(*words: str, **environment: str) -> str:
    """What make would run for these words."""
    clean = {
        key: value for key, value in os.environ.items() if key not in ("KUBECONFIG", "MAKEFLAGS", "MAKELEVEL")
    }
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *words],
        cwd=ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("command", ["up", "preview", "status", "logs", "down"])
def test_a_kubeconfig_in_the_environment_never_turns_a_command_to_a_cluster(command: str) -> None:
    assert "--kubeconfig" not in planned(command, KUBECONFIG="/somebody/s/cluster")
    assert f"{command} --stack dev --kubeconfig /mine" in planned(command, "KUBECONFIG=/mine")


def test_a_stack_that_declares_something_on_aws_gets_the_package_for_it() -> None:
    assert "-r requirements.txt" in planned("preview", "STACK=staging", "VENV=/nowhere")
    assert "-r requirements.txt" in planned("preview", "STACK=prod", "VENV=/nowhere")
    assert "-r requirements.txt" not in planned("preview", "STACK=dev", "VENV=/nowhere")


def test_every_command_is_listed_by_help() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    declared = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:")
    )
    missing = [word for word in declared.split()[1:] if f"make {word} " not in listed]
    assert missing == []
