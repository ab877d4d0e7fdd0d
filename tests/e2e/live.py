"""What the embedded platform's API shows while a test runs: the route, who serves, and which release ran."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.repeating import Repeating

NAMESPACE, NAME = "tts", "hibari"
REVISION = "tts/revision"
GROUPS = {
    "configmaps": "/api/v1",
    "events": "/api/v1",
    "pods": "/api/v1",
    "services": "/api/v1",
    "deployments": "/apis/apps/v1",
    "jobs": "/apis/batch/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "virtualservices": "/apis/networking.istio.io/v1",
    "destinationrules": "/apis/networking.istio.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
}
Object = dict[str, Any]


class Api:
    """Reads one namespace of an embedded platform, and deletes in it, by its kubeconfig."""

    namespace = NAMESPACE

    def __init__(self, home: Path) -> None:
        kubeconfig = yaml.safe_load((home / "kubeconfig").read_text())
        self._server = kubeconfig["clusters"][0]["cluster"]["server"]
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {kubeconfig['users'][0]['user']['token']}"

    def get(self, plural: str, name: str) -> Object | None:
        answer = self._ask(plural, f"/{name}")
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return answer.json()

    def all(self, plural: str, labels: str = "") -> list[Object]:
        answer = self._ask(plural, "", labelSelector=labels)
        answer.raise_for_status()
        return answer.json()["items"]

    def route(self) -> Object:
        found = self.get("virtualservices", NAME)
        assert found is not None, "there is no route"
        return found

    def job(self) -> Object:
        """The release's own Job, without its guard's: there is never more than one."""
        (job,) = [found for found in self.all("jobs") if not found["metadata"]["name"].endswith("-guard")]
        return job

    def receipt(self, release: str = "") -> Object:
        """What the release (that of the Job, where none is named) and its guard have written:
        `receipt.json` and `traffic.json`, read; empty where one is missing."""
        name = release or self.job()["metadata"]["name"]
        found = self.get("configmaps", f"{name}-receipt")
        data = found["data"] if found else {}
        return {key: json.loads(data.get(key, "{}")) for key in ("receipt.json", "traffic.json")}

    def events(self) -> list[Object]:
        """The Events on the route, in the order in which they came to be."""
        found = [event for event in self.all("events") if event["involvedObject"]["kind"] == "VirtualService"]
        return sorted(found, key=_made)

    def delete(self, plural: str, name: str) -> None:
        answer = self._session.delete(self._url(plural, f"/{name}"), timeout=10)
        answer.raise_for_status()

    def scale(self, revision: str, replicas: int) -> None:
        """What an autoscaler, or `kubectl scale`, does."""
        answer = self._session.patch(
            self._url("deployments", f"/{revision}/scale"),
            data=json.dumps({"spec": {"replicas": replicas}}),
            headers={"content-type": "application/merge-patch+json"},
            timeout=10,
        )
        answer.raise_for_status()

    def of_revision(self, revision: str) -> list[str]:
        """All that carries a revision's label."""
        return [
            f"{plural}/{found['metadata']['name']}"
            for plural in GROUPS
            for found in self.all(plural, f"{REVISION}={revision}")
        ]

    def _ask(self, plural: str, rest: str, **query: str) -> requests.Response:
        return self._session.get(self._url(plural, rest), params=query, timeout=10)

    def _url(self, plural: str, rest: str) -> str:
        return f"{self._server}{GROUPS[plural]}/namespaces/{self.namespace}/{plural}{rest}"


def _made(event: Object) -> int:
    """Events have whole seconds; the store counts every write."""
    return int(event["metadata"]["resourceVersion"])


def weights(route: Object) -> dict[str, int]:
    """The percent that each revision gets, as the weighted entry of a VirtualService says it."""
    (weighted,) = [entry for entry in route["spec"]["http"] if not entry.get("match")]
    return {
        item["destination"]["host"].partition(".")[0]: item.get("weight", 100) for item in weighted["route"]
    }


def ready(deployment: Object) -> int:
    return deployment.get("status", {}).get("readyReplicas", 0)


def condition(job: Object) -> str:
    """`Complete`, `Failed`, or nothing while the Job is under way."""
    found = [item["type"] for item in job.get("status", {}).get("conditions", []) if item["status"] == "True"]
    return next((kind for kind in found if kind in ("Complete", "Failed")), "")


def document(api: Api, name: str, key: str) -> Object:
    """A JSON document kept in a ConfigMap."""
    found = api.get("configmaps", name)
    assert found is not None, f"there is no ConfigMap {name}"
    return json.loads(found["data"][key])


def not_kept(receipt: Object, home: Path) -> list[str]:
    """What a receipt's audio names, and its store, a claim of the embedded platform, does not hold: each file
    is named by the sha256 of what it holds."""
    claim, _, folder = str(receipt["audioStore"]).removeprefix("pvc://").partition("/")
    kept = home / "claims" / receipt["namespace"] / claim / folder
    named = {each["sha256"] for each in receipt["audio"]}
    assert named, "the receipt names no audio"
    held = {file.stem for file in kept.glob("*.wav") if sha256(file.read_bytes()).hexdigest() == file.stem}
    return sorted(named - held)


def faults_of(shares: dict[str, int], serving: dict[str, int]) -> list[str]:
    """What is wrong with a route that gives these percents, while revisions have so many ready replicas."""
    found = [] if sum(shares.values()) == 100 else [f"the weights {shares} do not sum to 100"]
    without = [revision for revision, weight in shares.items() if weight and not serving.get(revision)]
    return found + [
        f"{revision} gets {shares[revision]} % and has no ready replica: {serving}" for revision in without
    ]


class RouteWatch(Repeating):
    """Looks at the route again and again while the `with` block runs: it must be whole at every look.

    Whole: the weights sum to 100, and whoever has weight has a Deployment with ready replicas. What is read
    in several requests is judged only when the route was the same before and after them.
    """

    def __init__(self, api: Api, *, pause: float = 0.05) -> None:
        self._api = api
        self.pause = pause
        self.faults: list[str] = []
        self.seen: list[dict[str, int]] = []
        """The different weights, in the order in which they were seen."""
        self.looks = 0

    def once(self) -> None:
        try:
            self._look()
        except (requests.RequestException, AssertionError, KeyError, ValueError) as error:
            self.faults.append(repr(error))

    def _look(self) -> None:
        route = self._api.route()
        serving = {found["metadata"]["name"]: ready(found) for found in self._api.all("deployments")}
        again = self._api.route()
        if route["metadata"]["resourceVersion"] != again["metadata"]["resourceVersion"]:
            return
        self.looks += 1
        found = weights(route)
        if not self.seen or self.seen[-1] != found:
            self.seen.append(found)
        self.faults += faults_of(found, serving)
