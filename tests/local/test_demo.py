"""The demo ends well only when the second version answers and no request was dropped."""

import sys

import pytest

from local import demo
from local.home import Home
from tests.local.speech_server import SpeechServer

RELEASE = """
import sys, urllib.request
assert sys.argv[2:] == ["release", sys.argv[3], "--stack", "dev"], sys.argv
if sys.argv[3] == {refused!r}: sys.exit(1)
urllib.request.urlopen("{url}/" + ({stays!r} or sys.argv[3]))
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "RATE", 40.0)
    monkeypatch.setattr(demo, "AFTERWARDS_SECONDS", 0.3)

    def _run(behave=lambda _: "whole", refused="", stays=""):
        with SpeechServer(behave) as server:
            script = tmp_path / "release.py"
            script.write_text(RELEASE.format(url=server.url, refused=refused, stays=stays))
            home = Home(tmp_path / "home", server.server_port)
            status = demo.run_demo("dev", home=home, command=(sys.executable, str(script), "x"))
        return status, capsys.readouterr().out

    return _run


def test_ends_well(run, tmp_path):
    status, out = run()
    assert status == 0, out
    assert "1.0.0 x " in out
    assert "1.1.0 x " in out
    assert "demo.wav: 0.1 s at 24000 Hz, level -12 dBFS" in out
    assert "dropped 0 of " in out
    assert out.splitlines()[-1] == "Try next: make release VERSION=1.0.0"
    assert (tmp_path / "home" / "demo.wav").stat().st_size > 4000


@pytest.mark.parametrize("refused", ["1.0.0", "1.1.0"])
def test_a_refused_release_fails_it(run, refused):
    status, out = run(refused=refused)
    assert status == 1
    assert f"version {refused} was not released" in out


def test_a_dropped_request_fails_it(run):
    status, out = run(lambda number: "cut" if number == 3 else "whole")
    assert status == 1
    assert "dropped 1 of " in out


def test_a_route_that_does_not_move_fails_it(run):
    status, out = run(stays="1.0.0")
    assert status == 1
    assert "did not come from version 1.1.0" in out


def test_a_server_that_does_not_speak_fails_it(run):
    status, out = run(lambda _: "empty")
    assert status == 1
    assert "The closing sentence was not spoken" in out
