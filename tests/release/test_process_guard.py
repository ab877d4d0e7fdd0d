"""`python -m release guard` as a process, beside a Job and without one."""

import json
import signal
import time

import pytest

from release import route

from .plans import V1, V2, http_for, virtual_service
from .servers import ROUTE
from .stage import staged
from .test_kubernetes import DEPLOYMENTS, EVENTS, LEASES
from .test_process import wait_for

GUARD = ("-m", "release", "guard")
QUICK = ("-c", "import release.guard as g; g.LEASE_SECONDS = 1; from release.run import guard; exit(guard())")
"""As `python -m release guard`, but a release counts as silent after a second."""


def lease(stage, holder):
    body = {"metadata": {"name": "voice-release", "annotations": {"tts/created": "2026-11-23T06:00:00Z"}}}
    stage.api.put(f"{LEASES}/voice-release", {**body, "spec": {"holderIdentity": holder}})


def half_way(stage):
    """As a killed Job leaves it: 50 %, and no pod that goes on."""
    manifest = virtual_service({V1: 50, V2: 50})
    manifest["metadata"]["annotations"] = {
        route.OWNER: f"{stage.release}/dead",
        route.STABLE: route.dump(http_for({V1: 100})),
        route.PROVEN: route.dump([V1]),
    }
    stage.api.put(ROUTE, manifest)
    lease(stage, f"{stage.release}/dead")


def test_the_guard_counts_until_the_release_has_settled_and_the_old_revision_is_gone(tmp_path):
    with staged(tmp_path) as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        guard = stage.start(*GUARD, log=tmp_path / "guard-log")
        try:
            code, out = stage.run()
            assert code == 0, out
            wait_for(lambda: stage.kept().get("traffic.json", {}).get("sent", 0) > 2)
            assert guard.poll() is None
            assert stage.kept()["traffic.json"]["done"] is False
            del stage.api.objects[f"{DEPLOYMENTS}/{V1}"]
            out, _ = guard.communicate(timeout=30)
        finally:
            guard.kill()
        assert guard.returncode == 0, out
        kept = stage.kept()
        traffic = kept["traffic.json"]
        assert traffic["done"] is True
        assert traffic["dropped"] == 0, traffic
        assert traffic["sent"] > 2
        said = f"dropped 0 of {traffic['sent']} (at most "
        assert traffic["sentence"].startswith(said)
        assert (tmp_path / "guard-log").read_text().startswith(said)
        assert kept["receipt.json"]["outcome"] == "released"
        assert stage.live() == {V2: 100}


def test_a_job_that_is_gone_is_made_good(tmp_path):
    with staged(tmp_path) as stage:
        half_way(stage)
        guard = stage.start(*QUICK)
        try:
            wait_for(lambda: stage.live() == {V1: 100})
            assert stage.api.weights == [{V1: 50, V2: 50}, {V1: 100}]
            holder = stage.api.objects[f"{LEASES}/voice-release"]["spec"]["holderIdentity"]
            assert holder.startswith(f"{stage.release}/guard-")
            wait_for(lambda: any(path.startswith(EVENTS) for path in stage.api.objects))
            time.sleep(0.5)
            assert guard.poll() is None  # it stays until the next `up` replaces it
            guard.send_signal(signal.SIGTERM)
            out, _ = guard.communicate(timeout=20)
        finally:
            guard.kill()
        assert guard.returncode == 143, out
        assert "was silent for" in out
        (event,) = (body for path, body in stage.api.objects.items() if path.startswith(EVENTS))
        assert (event["reason"], event["type"]) == ("DeadMan", "Warning")
        assert stage.api.objects[ROUTE]["metadata"]["annotations"][route.OWNER] == holder
        # and the Job's next pod takes the lease back and goes on
        code, out = stage.run()
        assert code == 0, out
        assert stage.live() == {V2: 100}


@pytest.mark.parametrize("holder", ["voice-release-another/run", None])
def test_the_guard_of_a_release_that_is_not_in_the_lease_touches_nothing(tmp_path, holder):
    """Half way because of another release: its own guard's business. Then a third release takes the lease."""
    with staged(tmp_path) as stage:
        half_way(stage)
        before = json.dumps(stage.api.objects[ROUTE])
        del stage.api.objects[f"{LEASES}/voice-release"]
        if holder:
            lease(stage, holder)
        guard = stage.start(*QUICK)
        try:
            wait_for(lambda: any(path.endswith("/voice") for _, path, *_ in stage.api.requests))
            time.sleep(2.5)
            assert json.dumps(stage.api.objects[ROUTE]) == before
            lease(stage, "voice-release-newer/run")
            out, _ = guard.communicate(timeout=20)
        finally:
            guard.kill()
        assert guard.returncode == 0, out
        assert "A newer release has begun" in out
        assert json.dumps(stage.api.objects[ROUTE]) == before


def test_a_guard_that_stands_ends_with_sigterm_alone(tmp_path):
    """Under Argo CD, which would wait for the end of a Job: it has counted, and asks nothing more."""
    with staged(tmp_path) as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        stage.environment["TTS_GUARD_STAYS"] = "true"
        guard = stage.start(*GUARD)
        try:
            code, out = stage.run()
            assert code == 0, out
            del stage.api.objects[f"{DEPLOYMENTS}/{V1}"]
            wait_for(lambda: stage.kept().get("traffic.json", {}).get("done"))
            asked = len(stage.api.requests)
            time.sleep(1.0)
            assert guard.poll() is None
            assert len(stage.api.requests) <= asked + 1
            guard.send_signal(signal.SIGTERM)
            out, _ = guard.communicate(timeout=20)
        finally:
            guard.kill()
        assert guard.returncode == 0, out
