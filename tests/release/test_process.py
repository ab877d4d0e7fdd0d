"""`python -m release run` as a process, against small real servers."""

import json
import signal
import time

import pytest

from release.__main__ import main
from release.run import RUNS

from .plans import V1, V2, virtual_service
from .replies import Replies
from .servers import ROUTE
from .stage import staged
from .test_kubernetes import EVENTS, LEASES, PODS


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_release_tells_everybody_and_can_be_decided_again(tmp_path):
    with staged(tmp_path) as stage, Replies(lambda _: (200, b"ok")).serving() as webhook:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        provenance = {
            "commit": "abc",
            "dirty": False,
            "stack": "dev",
            "by": "ann",
            "images": {V2: "x@sha256:1"},
        }
        (tmp_path / "provenance.json").write_text(json.dumps(provenance))
        stage.environment = {
            "TTS_PROVENANCE": str(tmp_path / "provenance.json"),
            "TTS_WEBHOOK_URL": f"{webhook}/secret",
        }
        begin = time.monotonic()
        code, out = stage.run()
        assert code == 0, out
        assert time.monotonic() - begin < 30
        assert stage.live() == {V2: 100}
        assert {V1: 90, V2: 10} in stage.api.weights
        assert stage.log.read_text() == f"1.1.0 is released as {V2}."
        receipt = stage.receipt()
        assert (receipt["outcome"], receipt["provenance"]) == ("released", provenance)
        assert 0 < receipt["startupSeconds"] < 30
        assert f"{LEASES}/voice-release" in stage.api.objects
        assert all(headers["x-tts-probe"] == stage.release for _, headers, _ in stage.asked)
        assert {headers.get("x-tts-revision") for _, headers, _ in stage.asked} == {None, V1, V2}
        assert "The gate is passed" in out
        assert "secret" not in out
        reasons = [body["reason"] for path, body in stage.api.objects.items() if path.startswith(EVENTS)]
        assert reasons == ["ReleaseStarted", "GatePassed", *["WeightsMoved"] * 3, "Released"]
        kept = tmp_path / "receipt.json"
        kept.write_text(json.dumps(receipt))
        code, out = stage.run("-m", "release", "replay", str(kept))
        assert (code, out.split(":")[0]) == (0, "released"), out
        receipt["findings"][0]["verdict"] = "fail"
        kept.write_text(json.dumps(receipt))
        code, out = stage.run("-m", "release", "replay", str(kept))
        assert code == 1
        assert "its values say pass" in out
        kept.write_text("{}")
        assert stage.run("-m", "release", "replay", str(kept))[0] == 2


def test_a_first_install(tmp_path):
    with staged(tmp_path) as stage:
        code, out = stage.run()
        assert code == 0, out
        assert stage.live() == {V2: 100}
        assert stage.api.objects[ROUTE]["metadata"]["labels"] == {"app.kubernetes.io/name": "voice"}


def test_a_refusal_at_the_gate(tmp_path):
    with staged(tmp_path, level=0.0) as stage:
        told = Replies(lambda _: (200, b"ok"))
        with told.serving() as webhook:
            stage.environment = {"TTS_WEBHOOK_URL": webhook}
            stage.api.put(ROUTE, virtual_service({V1: 100}))
            code, out = stage.run()
        assert code == 42, out
        assert all(weights == {V1: 100} for weights in stage.api.weights)
        lines = stage.log.read_text().splitlines()
        assert lines[0] == f"1.1.0 ({V2}) is refused."
        assert any(line.startswith("level: The level is -inf dBFS") for line in lines)
        assert stage.receipt()["verdict"] == lines
        assert stage.receipt()["refusedFor"] == lines[1:-1]
        ((_, _, body, _),) = told.asked
        assert lines[0] in json.loads(body)["text"]


def test_a_refusal_on_the_way_is_restored(tmp_path):
    with staged(tmp_path, route_level=lambda revision: 0.1 if revision == V1 else 0.0) as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        stage.document["rollout"].update(steps=[50, 100], holdSeconds=60, maxHoldSeconds=60)
        code, out = stage.run()
        assert code == 42, out
        assert "The level is -inf dBFS" in stage.log.read_text()
        assert stage.live() == {V1: 100}
        assert stage.receipt()["restoreSeconds"] < 5


def test_a_check_that_no_ears_here_can_judge_is_refused(tmp_path):
    with staged(tmp_path) as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        gate = stage.document["target"]["gate"]
        gate.update(languages=["tlh"], required=[*gate["required"], "intelligibility", "mos"])
        code, out = stage.run()
        assert code == 42, out
        assert "There is no recogniser for the language tlh." in stage.log.read_text()
        assert "The check mos is required, but has no judge here" in stage.log.read_text()


def test_a_release_that_never_comes_to_a_verdict_is_given_up(tmp_path):
    with staged(tmp_path) as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        for number in range(RUNS):
            metadata = {"name": f"p{number}", "namespace": "tts", "labels": {"job-name": stage.release}}
            stage.api.put(f"{PODS}/p{number}", {"metadata": metadata, "status": {"phase": "Failed"}})
        code, out = stage.run()
        assert code == 44, out
        assert stage.log.read_text() in out
        assert f"was begun {RUNS} times" in stage.log.read_text()
        assert stage.live() == {V1: 100}
        assert stage.asked == []
        del stage.api.objects[f"{PODS}/p0"]
        code, out = stage.run()
        assert code == 0, out


def test_sigterm_is_answered_at_once(tmp_path):
    with staged(tmp_path) as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        stage.document["rollout"].update(holdSeconds=60, maxHoldSeconds=60)
        process = stage.start()
        try:
            wait_for(lambda: {V1: 90, V2: 10} in stage.api.weights)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=10)
        finally:
            process.kill()
        assert process.returncode == 143, out
        assert stage.live() == {V1: 100}
        assert stage.receipt()["outcome"] == "terminated"


def test_an_api_server_that_restarts_does_not_fail_a_release(tmp_path):
    with staged(tmp_path) as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        stage.api.failures = [503, 0, 500]
        code, out = stage.run()
        assert code == 0, out


@pytest.mark.parametrize("command", ["run", "guard"])
def test_a_plan_that_is_wrong_or_missing(tmp_path, command):
    with staged(tmp_path) as stage:
        del stage.document["target"]
        code, out = stage.run("-m", "release", command)
        assert code == 2
        assert "target.revision is missing" in stage.log.read_text()
        assert "target.revision is missing" in out
        assert "Traceback" not in out
        stage.environment = {"TTS_PLAN": str(tmp_path / "nowhere")}
        assert stage.run("-m", "release", command)[0] == 2
        assert "nowhere cannot be read" in stage.log.read_text()


def test_a_release_shows_its_key_to_pods_and_through_the_route(tmp_path):
    with staged(tmp_path, key="tts-secret") as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        stage.document["apiKeys"] = {"secret": "our-keys"}
        stage.environment = {"TTS_API_KEY": "tts-secret"}
        code, out = stage.run()
        assert code == 0, out
        assert stage.live() == {V2: 100}
        assert {headers["authorization"] for _, headers, _ in stage.asked} == {"Bearer tts-secret"}
        assert "tts-secret" not in out + json.dumps(stage.kept())


def test_a_release_whose_key_is_not_known_is_refused_with_the_reason(tmp_path):
    with staged(tmp_path, key="tts-other") as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        stage.document["apiKeys"] = {"secret": "our-keys"}
        stage.environment = {"TTS_API_KEY": "tts-secret"}
        code, out = stage.run()
        assert code == 42, out
        assert "does not know the release's API key" in stage.log.read_text()
        assert stage.live() == {V1: 100}


@pytest.mark.parametrize("command", ["run", "guard"])
def test_a_release_without_the_key_that_it_needs_begins_nothing(tmp_path, command):
    with staged(tmp_path) as stage:
        stage.document["apiKeys"] = {"secret": "our-keys"}
        code, out = stage.run("-m", "release", command)
        assert code == 2, out
        assert "the Secret our-keys in the namespace tts" in stage.log.read_text().replace("The", "the")
        assert stage.asked == []


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run", "now"], ["guard", "now"], ["replay"]])
def test_other_arguments_are_refused(arguments, capsys):
    assert main(arguments) == 64
    assert "python -m release run" in capsys.readouterr().err
