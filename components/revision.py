"""The revisions of a stack: which they are, and how they are routed to. Pure functions of the settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.catalog import ModelVersion
from components.identity import content_hash, image_inputs_hash, revision_name
from components.labels import object_metadata, stack_labels
from components.model_dockerfile import model_dockerfile, model_image_hash
from components.pod import inference_config, pod_template
from components.settings import Settings
from components.version_settings import CANARY, Served

ISTIO = "networking.istio.io/v1"
RELEASE_DOCKERFILE = "release/Dockerfile"
SPEECH_PATH = "/v1/audio/speech"
ANSWERED_BY = "x-tts-answered-by"
"""The header by which a server knows that a request is a copy: it names the revisions that answer it."""

# Only what no server can have begun to answer: no connection came about, or the stream was refused. Left out,
# Istio takes a list of its own, which in some versions holds 503, and a server's own answer may be one.
_RETRIES = {"attempts": 2, "retryOn": "connect-failure,refused-stream"}


@dataclass(frozen=True)
class Revision:
    """One version as it is served. `base_hash` stands for the contents of the server base, `image_hash` for
    those of the model image, which `dockerfile` builds on it."""

    name: str
    served: Served
    base_hash: str
    image_hash: str
    dockerfile: str

    @property
    def entry(self) -> ModelVersion:
        """Its entry of the catalog."""
        return self.served.entry


@dataclass(frozen=True)
class Revisions:
    """All that one program run declares: the target of the release, and the canary and warm ones beside it.
    `release_image_hash` stands for the contents of the release's own image."""

    target: Revision
    others: tuple[Revision, ...]
    release_image_hash: str

    @property
    def all(self) -> tuple[Revision, ...]:
        """Every revision, the target first."""
        return (self.target, *self.others)

    @property
    def canary(self) -> Revision | None:
        """The canary, where there is one."""
        return next((each for each in self.others if each.served.role == CANARY), None)


def build_args(settings: Settings) -> dict[str, str]:
    """What the base images are built with."""
    return {"PYTHON_IMAGE": settings.base_image}


def identify(settings: Settings, root: Path) -> Revisions:
    """The revisions that `settings` and the checkout at `root` stand for.

    Raises SourceError when a file that an image is built from is missing."""
    arguments = build_args(settings)
    files = {each.entry.server_dockerfile for each in settings.served}
    bases = {file: image_inputs_hash(root, file, arguments) for file in files}
    target, *others = (
        _revision(settings, each, bases[each.entry.server_dockerfile], root) for each in settings.served
    )
    return Revisions(target, tuple(others), image_inputs_hash(root, RELEASE_DOCKERFILE, arguments))


def _revision(settings: Settings, served: Served, base_hash: str, root: Path) -> Revision:
    """Nothing that a promotion changes goes into the name."""
    entry = served.entry
    dockerfile = model_dockerfile(entry, base_hash, root, settings.object_store)
    image_hash = model_image_hash(entry, dockerfile)
    inputs = {
        "entry": entry.document,
        # A promoted image is what it is, whatever this checkout would build.
        "image": served.image_digest or image_hash,
        "pod": pod_template(settings, entry, revision="", image=""),
        "config": inference_config(settings, entry, ""),
    }
    name = revision_name(settings.name, entry.version, content_hash(inputs))
    return Revision(name, served, base_hash, image_hash, dockerfile)


def service_host(settings: Settings, revision: str) -> str:
    """The name of a revision's Service inside the cluster."""
    return f"{revision}.{settings.namespace}.svc.cluster.local"


def virtual_service(settings: Settings, revisions: Revisions) -> dict[str, Any]:
    """The route once the release is over: the declared weights, and each revision reachable by header."""
    return {
        "apiVersion": ISTIO,
        "kind": "VirtualService",
        # The release moves the weights under a name of its own; an update takes them over.
        "metadata": object_metadata(settings, settings.name, stack_labels(settings, "route")),
        "spec": {
            "hosts": [settings.host],
            "gateways": [settings.gateway or f"{settings.namespace}/{settings.name}"],
            "http": _http(settings, revisions),
        },
    }


def _http(settings: Settings, revisions: Revisions) -> list[dict[str, Any]]:
    """No entry has a timeout: Istio's default is none, which a stream needs, and it refuses "0s" for it."""
    weighted = [
        {"destination": _destination(settings, each), "weight": each.served.weight}
        for each in revisions.all
        if each.served.weight
    ]
    answering = ",".join(each.name for each in revisions.all if each.served.weight)
    speech = [
        {
            "name": "speech",
            "match": [
                {"uri": {"exact": each.entry.gate.exchange.path if each.entry.gate.exchange else SPEECH_PATH}}
            ],
            "route": weighted,
            "mirror": _destination(settings, each),
            "mirrorPercentage": {"value": 100},
            # Istio marks no copy: it is one where it comes to a revision that is not named here.
            "headers": {"request": {"set": {ANSWERED_BY: answering}}},
        }
        for each in revisions.all
        if each.served.mirrored
    ]
    pins = [_pin(settings, each) for each in revisions.all]
    return [
        entry | {"retries": _RETRIES} for entry in (*pins, *speech, {"name": "weighted", "route": weighted})
    ]


def _pin(settings: Settings, revision: Revision) -> dict[str, Any]:
    headers = {"x-tts-version": revision.entry.version, "x-tts-revision": revision.name}
    return {
        "name": f"pin-{revision.name}",
        "match": [{"headers": {header: {"exact": value}}} for header, value in headers.items()],
        "route": [{"destination": _destination(settings, revision)}],
    }


def _destination(settings: Settings, revision: Revision) -> dict[str, Any]:
    return {"host": service_host(settings, revision.name), "port": {"number": 80}}
