"""`python -m release run` as a process: a small API, a gateway that follows the live route, and pods."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from release import plan as plans
from release.__main__ import main
from release.cluster import Pod
from release.probe import HttpProber
from release.route import parse, revision_of

from .servers import Api, kubeconfig, serve, voice
from .simulation import V1, V2, plan_document, virtual_service
from .test_kubernetes import CONFIGMAPS, DEPLOYMENTS, ISTIO, JOBS, LEASES, PODS

ROUTE = f"{ISTIO}/voice"


class Stage:
    """The servers of one release, and how to start it."""

    def __init__(self, folder, api, ports, asked):
        self.folder, self.api, self.asked = folder, api, asked
        self.document = plan_document(V2, holdSeconds=0.6)
        self.document["gateway"]["address"] = f"http://127.0.0.1:{ports['gateway']}"
        self.document["target"]["containerPort"] = ports["pod"]
        self.release = self.document["release"]
        self.log = folder / "termination-log"
        self.kubeconfig = kubeconfig(folder, ports["api"])
        for revision in (V1, V2):
            ready = {"conditions": [{"type": "Ready", "status": "True"}], "podIP": "127.0.0.1"}
            labels = {"tts/revision": revision, COMPONENT: "model-server"}
            metadata = {"name": f"{revision}-0", "labels": labels}
            api.put(f"{PODS}/{revision}-0", {"metadata": metadata, "status": ready})
            spec, status = {"replicas": 1}, {"readyReplicas": 1}
            api.put(
                f"{DEPLOYMENTS}/{revision}", {"metadata": {"name": revision}, "spec": spec, "status": status}
            )
        api.put(f"{JOBS}/{self.release}", {"metadata": {"name": self.release}})

    def start(self):
        plan = self.folder / "plan.json"
        plan.write_text(json.dumps(self.document))
        environment = {
            "PATH": os.environ["PATH"],
            "TTS_PLAN": str(plan),
            "TTS_TERMINATION_LOG": str(self.log),
            "KUBECONFIG": str(self.kubeconfig),
            "HTTP_PROXY": "http://127.0.0.1:9",
        }
        command = [sys.executable, "-m", "release", "run"]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self):
        process = self.start()
        out, _ = process.communicate(timeout=60)
        return process.returncode, out

    def receipt(self):
        return json.loads(self.api.objects[f"{CONFIGMAPS}/{self.release}-receipt"]["data"]["receipt.json"])

    def live(self):
        weights = parse(self.api.objects[ROUTE]["spec"]["http"]).weights
        return {revision_of(host): weight for host, weight in weights.items()}


@contextlib.contextmanager
def staged(folder, *, level=0.1, route_level=0.1):
    api, asked, turn = Api(), [], []

    def routed():
        turn.append(1)
        if ROUTE not in api.objects:
            return None
        point = len(turn) * 37 % 100
        for revision, weight in sorted(api.weights[-1].items()):
            if point < weight:
                return revision
            point -= weight
        return None

    with contextlib.ExitStack() as stack:
        ports = {
            "api": stack.enter_context(api.serving()),
            "pod": stack.enter_context(serve(voice(lambda: V2, asked, level=level))),
            "gateway": stack.enter_context(serve(voice(routed, asked, level=route_level))),
        }
        yield Stage(folder, api, ports, asked)


COMPONENT = "app.kubernetes.io/component"


def test_a_release(tmp_path):
    with staged(tmp_path) as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        begin = time.monotonic()
        code, out = stage.run()
        assert code == 0, out
        assert stage.live() == {V2: 100}
        assert {V1: 90, V2: 10} in stage.api.weights
        assert stage.log.read_text() == f"1.1.0 is released as {V2}."
        assert stage.receipt()["outcome"] == "released"
        assert f"{LEASES}/voice-release" in stage.api.objects
        assert all(headers["x-tts-probe"] == stage.release for _, headers, _ in stage.asked)
        assert "The gate is passed" in out
        assert time.monotonic() - begin < 30


def test_a_first_install(tmp_path):
    with staged(tmp_path) as stage:
        code, out = stage.run()
        assert code == 0, out
        assert stage.live() == {V2: 100}
        assert stage.api.objects[ROUTE]["metadata"]["labels"] == {"app.kubernetes.io/name": "voice"}


def test_a_refusal_at_the_gate(tmp_path):
    with staged(tmp_path, level=0.0) as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        code, out = stage.run()
        assert code == 42, out
        assert all(weights == {V1: 100} for weights in stage.api.weights)
        lines = stage.log.read_text().splitlines()
        assert lines[0] == f"1.1.0 ({V2}) is refused."
        assert any(line.startswith("level: The level is -inf dBFS") for line in lines)
        assert stage.receipt()["verdict"] == lines


def test_a_refusal_on_the_way_is_restored(tmp_path):
    with staged(tmp_path, route_level=lambda revision: 0.1 if revision == V1 else 0.0) as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        stage.document["rollout"] = {"steps": [50, 100], "holdSeconds": 60, "readySeconds": 5}
        code, out = stage.run()
        assert code == 42, out
        assert "silence" in stage.log.read_text()
        assert stage.live() == {V1: 100}
        assert stage.receipt()["restoreSeconds"] < 5


def test_sigterm_is_answered_at_once(tmp_path):
    with staged(tmp_path) as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        stage.document["rollout"]["holdSeconds"] = 60
        process = stage.start()
        try:
            deadline = time.monotonic() + 30
            while {V1: 90, V2: 10} not in stage.api.weights and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=10)
        finally:
            process.kill()
        assert process.returncode == 143, out
        assert stage.live() == {V1: 100}


def test_an_api_server_that_restarts_does_not_fail_a_release(tmp_path):
    with staged(tmp_path) as stage:
        stage.api.put(ROUTE, virtual_service({V1: 100}))
        stage.api.failures = [503, 0, 500]
        code, out = stage.run()
        assert code == 0, out


def test_a_plan_that_is_wrong_or_missing(tmp_path):
    with staged(tmp_path) as stage:
        del stage.document["target"]
        code, out = stage.run()
        assert code == 2
        assert "target.revision is missing" in stage.log.read_text()
        assert "Traceback" not in out


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run", "now"]])
def test_other_arguments_are_refused(arguments, capsys):
    assert main(arguments) == 64
    assert "python -m release run" in capsys.readouterr().err


def test_the_prober_asks_for_what_the_plan_says(tmp_path):
    asked = []
    document = plan_document(V2)
    document["gateway"]["host"] = "tts.example.org"
    with serve(voice(lambda: V2, asked)) as port:
        document["target"]["containerPort"] = port
        document["gateway"]["address"] = f"http://127.0.0.1:{port}"
        prober = HttpProber(plans.parse(json.dumps(document)))
        answers = [
            prober.pod_version(Pod("p", "127.0.0.1", True)),
            prober.pod_speech(Pod("p", "127.0.0.1", True), "Hi"),
        ]
        answers += [prober.route_version(), prober.route_speech("Hi")]
        prober.close()
    assert [answer.status for answer in answers] == [200] * 4
    assert [path for path, _, _ in asked] == ["/version", "/v1/audio/speech"] * 2
    assert [headers["Host"] for _, headers, _ in asked[2:]] == ["tts.example.org"] * 2
    assert json.loads(asked[1][2])["input"] == "Hi"
    assert all(answer.headers["x-tts-revision"] == V2 for answer in answers)


def test_no_answer_is_an_answer_with_its_error():
    document = plan_document(V2)
    document["gateway"]["address"] = "http://127.0.0.1:9"
    prober = HttpProber(plans.parse(json.dumps(document)))
    answer = prober.route_version()
    prober.close()
    assert answer.status == 0
    assert answer.error
