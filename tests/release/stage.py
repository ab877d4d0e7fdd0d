"""The real process among small real servers: an API, a gateway that follows the live route, and pods."""

import contextlib
import json
import os
import subprocess
import sys

from release import route

from .plans import V1, V2, plan_document
from .servers import ROUTE, Api, gateway, kubeconfig, serve, voice
from .test_kubernetes import CONFIGMAPS, DEPLOYMENTS, JOBS, LABELS, PODS

CHEAP = [
    "decodable",
    "sampleRate",
    "duration",
    "level",
    "clipping",
    "identity",
    "firstAudio",
    "realTimeFactor",
]
"""Nobody understands a sine."""


class Stage:
    """The servers of one release, and how to start its processes."""

    def __init__(self, folder, api, ports, asked):
        self.folder, self.api, self.asked = folder, api, asked
        relaxed = {"firstAudioRatio": 20.0}  # a busy machine is not what these tests are about
        self.document = plan_document(
            V2, gate={"required": CHEAP, **relaxed}, limits=relaxed, holdSeconds=0.6, probesPerSecond=20
        )
        self.document["gateway"]["address"] = f"http://127.0.0.1:{ports['gateway']}"
        self.document["target"]["containerPort"] = ports["pod"]
        self.release = self.document["release"]
        self.log = folder / "termination-log"
        self.kubeconfig = kubeconfig(folder, ports["api"])
        self.environment = {}
        for revision in (V1, V2):
            ready = {"conditions": [{"type": "Ready", "status": "True"}], "podIP": "127.0.0.1"}
            labels = {**LABELS, "tts/revision": revision, "app.kubernetes.io/component": "model-server"}
            metadata = {"name": f"{revision}-0", "labels": labels}
            api.put(f"{PODS}/{revision}-0", {"metadata": metadata, "status": ready})
            spec, status = {"replicas": 1}, {"readyReplicas": 1}
            made = {"metadata": {"name": revision, "labels": labels}, "spec": spec, "status": status}
            api.put(f"{DEPLOYMENTS}/{revision}", made)
        api.put(f"{JOBS}/{self.release}", {"metadata": {"name": self.release}})

    def start(self, *arguments, log=None):
        """`python -m release` with these arguments."""
        plan = self.folder / "plan.json"
        plan.write_text(json.dumps(self.document))
        environment = {
            "PATH": os.environ["PATH"],
            "TTS_PLAN": str(plan),
            "TTS_TERMINATION_LOG": str(log or self.log),
            "TTS_BIND": "127.0.0.1",
            "TTS_METRICS_PORT": "0",
            "KUBECONFIG": str(self.kubeconfig),
            "HTTP_PROXY": "http://127.0.0.1:9",
            **self.environment,
        }
        command = [sys.executable, *(arguments or ("-m", "release", "run"))]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *arguments):
        process = self.start(*arguments)
        try:
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        return process.returncode, out

    def kept(self):
        """The documents of the receipt."""
        data = self.api.objects[f"{CONFIGMAPS}/{self.release}-receipt"]["data"]
        return {key: json.loads(text) for key, text in data.items()}

    def receipt(self):
        return self.kept()["receipt.json"]

    def live(self):
        weights = route.parse(self.api.objects[ROUTE]["spec"]["http"]).weights
        return {route.revision_of(host): weight for host, weight in weights.items()}


@contextlib.contextmanager
def staged(folder, *, level=0.1, route_level=0.1, key=""):
    api, asked = Api(), []
    with contextlib.ExitStack() as stack:
        ports = {
            "api": stack.enter_context(api.serving()),
            "pod": stack.enter_context(serve(voice(lambda headers: V2, asked, level=level, key=key))),
            "gateway": stack.enter_context(serve(voice(gateway(api), asked, level=route_level, key=key))),
        }
        yield Stage(folder, api, ports, asked)
