"""What a preview says about the release in it: versions, images and their bytes, the ramp, the GPUs."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.preview import Preview, Step

_GPU = "nvidia.com/gpu"
_GATE_SECONDS = 120
"""What a gate takes at most in practice, beside the time that its pods are given to start."""

Sizes = Callable[[str, str], Mapping[str, tuple[str, int]]]
"""Model and version -> the files of its catalog entry: path -> sha256 and bytes."""


@dataclass(frozen=True)
class Revision:
    """One revision of a plan, as docs/contracts.md describes it."""

    name: str
    version: str
    role: str
    most_pods: int
    start_seconds: int


@dataclass(frozen=True)
class Plan:
    """What a release is told. `weights` are its final ones, by revision."""

    model: str
    revisions: tuple[Revision, ...]
    weights: Mapping[str, int]
    strategy: str
    steps: tuple[int, ...]
    hold_seconds: float
    most_hold_seconds: float
    ready_seconds: float

    @property
    def target(self) -> Revision:
        return self.revisions[0]


@dataclass(frozen=True)
class Image:
    """One image: whether it is built, and under which tag."""

    name: str
    tag: str
    built: bool


@dataclass(frozen=True)
class Overlap:
    """While both stand: GPUs at the peak and how many of them are more than now, and for how long at most."""

    gpus: int
    more: int
    seconds: float

    @property
    def gpu_hours(self) -> float:
        return self.more * self.seconds / 3600


@dataclass(frozen=True)
class Release:
    """`old` is None on a first install. `new_bytes` of model files were not in the version before."""

    old: Plan | None
    new: Plan
    images: tuple[Image, ...]
    digest: str
    new_bytes: int
    same_bytes: int
    overlap: Overlap

    @property
    def walked(self) -> tuple[int, ...]:
        return (100,) if self.new.strategy == "immediate" else self.new.steps

    @property
    def ramp_seconds(self) -> tuple[float, float]:
        """At least, and at most."""
        steps = len(self.walked)
        return steps * self.new.hold_seconds, steps * self.new.most_hold_seconds

    @property
    def before_seconds(self) -> float:
        """At most until the first weight moves: nodes, images, loads, the gate."""
        slowest = max(each.start_seconds for each in self.new.revisions)
        return slowest + self.new.ready_seconds + _GATE_SECONDS


def find_release(preview: Preview, sizes: Sizes) -> Release | None:
    """The release of a preview; None where nothing changes that it is told."""
    plans = [step for step in preview.of("ConfigMap") if "plan.json" in (step.inputs.get("data") or {})]
    new = next((step for step in plans if step.op in ("create", "replace", "update")), None)
    if new is None:
        return None
    old = next((step for step in plans if step.op == "delete"), None)
    before = read_plan(_plan_text(old)) if old else None
    plan = read_plan(_plan_text(new))
    fresh, known = _bytes(before, plan, sizes)
    release = Release(
        old=before,
        new=plan,
        images=tuple(_images(preview)),
        digest=_digest(preview, plan.target.name),
        new_bytes=fresh,
        same_bytes=known,
        overlap=Overlap(0, 0, 0.0),
    )
    return Release(**{**vars(release), "overlap": _overlap(preview, release)})


def read_plan(text: str) -> Plan:
    document = json.loads(text)
    rollout = document["rollout"]
    route = next(each for each in document["route"]["spec"]["http"] if each["name"] == "weighted")
    return Plan(
        model=document["model"],
        revisions=tuple(_revision(each) for each in (document["target"], *document["others"])),
        weights={
            each["destination"]["host"].partition(".")[0]: int(each.get("weight", 100))
            for each in route["route"]
        },
        strategy=rollout["strategy"],
        steps=tuple(rollout["steps"]),
        hold_seconds=rollout["holdSeconds"],
        most_hold_seconds=rollout["maxHoldSeconds"],
        ready_seconds=rollout["readySeconds"],
    )


def _plan_text(step: Step) -> str:
    return str(step.inputs["data"]["plan.json"])


def _revision(document: Mapping[str, Any]) -> Revision:
    return Revision(
        name=document["revision"],
        version=document["version"],
        role=document["role"],
        most_pods=document["maxReplicas"],
        start_seconds=document["startSeconds"],
    )


def _images(preview: Preview) -> Iterable[Image]:
    for step in preview.of("Image"):
        if step.op != "delete":
            tags = step.new.get("tags") or ["?"]
            yield Image(step.name, str(tags[0]), built=step.changes)


def _digest(preview: Preview, revision: str) -> str:
    """The digest that a stack which promotes names; empty for one that builds."""
    for step in preview.of("Deployment"):
        if step.name == revision and not preview.of("Image"):
            (container, *_) = step.inputs["spec"]["template"]["spec"]["containers"]
            return str(container["image"]).partition("@")[2]
    return ""


def _bytes(old: Plan | None, new: Plan, sizes: Sizes) -> tuple[int, int]:
    """Of the target's model files: those that the version before has not, and those that it has."""
    there = {sha256 for sha256, _ in sizes(old.model, old.target.version).values()} if old else set()
    files = sizes(new.model, new.target.version).values()
    fresh = sum(size for sha256, size in files if sha256 not in there)
    return fresh, sum(size for _, size in files) - fresh


def _overlap(preview: Preview, release: Release) -> Overlap:
    """Old and new revisions side by side, from the candidate's start until the old one is deleted."""
    gpus = {step.name: _gpus(step) for step in preview.of("Deployment")}

    def held(plan: Plan | None) -> dict[str, int]:
        revisions = plan.revisions if plan else ()
        return {each.name: each.most_pods * gpus.get(each.name, 0) for each in revisions}

    now, then = held(release.old), held(release.new)
    peak = sum((now | then).values())
    seconds = release.before_seconds + release.ramp_seconds[1]
    return Overlap(gpus=peak, more=peak - sum(now.values()), seconds=seconds)


def _gpus(step: Step) -> int:
    containers = step.inputs["spec"]["template"]["spec"]["containers"]
    limits = [each.get("resources", {}).get("limits", {}) for each in containers]
    return sum(int(each.get(_GPU, 0)) for each in limits)
