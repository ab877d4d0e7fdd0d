"""plan.json as values. Every mistake in it is reported at once, each by the property it is in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import route as routes
from .errors import PlanError
from .reader import Reader
from .route import Http

STABLE, CANARY, WARM = "stable", "canary", "warm"
GRADUAL, IMMEDIATE = "gradual", "immediate"


@dataclass(frozen=True)
class Range:
    """A closed range of numbers."""

    min: float
    max: float


@dataclass(frozen=True)
class Exchange:
    """How a model is asked that does not speak: by a POST of `body`, where `{text}` is the text, to `path`.
    `answers`: text -> the regular expression that its answer must hold."""

    path: str
    body: Mapping[str, Any]
    answers: Mapping[str, str]


@dataclass(frozen=True)
class Gate:
    """What every candidate pod must show. `sample_rate` in hertz; `first_audio_seconds` and
    `real_time_factor` limit the median at the pod; `first_audio_ratio` limits it against the live
    revision; `timeout_seconds` is for one synthesis. With `exchange` the model does not speak: what is about
    audio says nothing, and the first audio is an answer's first byte."""

    sample_rate: int
    languages: tuple[str, ...]
    texts: tuple[str, ...]
    required: tuple[str, ...]
    characters_per_second: Range
    rms_dbfs: Range
    clipped_percent: float
    word_error_mean: float
    word_error_each: float
    quality_min: float
    first_audio_seconds: float
    real_time_factor: float
    first_audio_ratio: float
    timeout_seconds: float
    exchange: Exchange | None = None


@dataclass(frozen=True)
class Target:
    """A revision the plan names; `container_port` is where its pods listen, `artifacts` maps its model
    files to their sha256. It has `replicas` pods at least and `max_replicas` at most, as many as the traffic
    needs; a pod that is asked for may take `start_seconds` until it is ready."""

    revision: str
    version: str
    role: str
    replicas: int
    max_replicas: int
    start_seconds: float
    container_port: int
    artifacts: Mapping[str, str]
    gate: Gate


@dataclass(frozen=True)
class Gateway:
    """Where the route is reached. `host` is the Host header, `*` for none."""

    address: str
    host: str


@dataclass(frozen=True)
class Limits:
    """What a rising revision must keep at each step; None is no limit. Ratios are to the revision that
    serves beside it; `error_percent` is of its answers."""

    error_percent: float
    first_audio_ratio: float
    first_audio_seconds: float | None
    p99_seconds: float | None
    p99_ratio: float | None


@dataclass(frozen=True)
class Rollout:
    """`steps`: percents of the way, rising, the last one 100. Each is held for `hold_seconds` at least, and
    for `max_hold_seconds` at most while the evidence is not enough. `ready_seconds`: how long the candidate
    may take to become ready. `min_samples`: its answers at each step."""

    strategy: str
    steps: tuple[int, ...]
    hold_seconds: float
    max_hold_seconds: float
    ready_seconds: float
    min_samples: int
    probes_per_second: float
    limits: Limits


@dataclass(frozen=True)
class Prometheus:
    """Where real traffic is measured; `queries` by name, with `{revision}`, `{namespace}`, `{window}`."""

    url: str
    max_age_seconds: float
    queries: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """All a release is told. `route` is the whole VirtualService as the program declares it; `keys_secret`
    names the Secret with the key that servers want, empty where they want none; `audio_store` is where
    servers keep what a gate has judged, empty where they keep nothing."""

    release: str
    name: str
    namespace: str
    model: str
    target: Target
    others: tuple[Target, ...]
    route: Mapping[str, Any]
    gateway: Gateway
    rollout: Rollout
    prometheus: Prometheus | None
    keys_secret: str
    audio_store: str

    @property
    def declared_http(self) -> Http:
        """spec.http as the program declares it."""
        http: Http = self.route["spec"]["http"]
        return http

    @property
    def targets(self) -> tuple[Target, ...]:
        """Every revision of the plan, the target first."""
        return (self.target, *self.others)

    @property
    def autoscaled(self) -> bool:
        """Whether the number of pods follows the traffic."""
        return any(target.max_replicas > target.replicas for target in self.targets)

    def find(self, revision: str) -> Target | None:
        """The revision of that name, where the plan has it."""
        return next((target for target in self.targets if target.revision == revision), None)

    def first_audio_ratio(self, revision: str) -> float:
        """How many times as long as beside it a revision's first audio may take: its own limit, where the
        plan has the revision."""
        target = self.find(revision)
        return target.gate.first_audio_ratio if target else self.rollout.limits.first_audio_ratio


def parse(text: str) -> Plan:
    """The plan in `text`. Raises PlanError with one sentence for each mistake."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise PlanError(f"The plan is not JSON: {error}.") from error
    read = Reader(document)
    plan = Plan(
        release=read.text("release"),
        name=read.text("name"),
        namespace=read.text("namespace"),
        model=read.text("model"),
        target=_target(read.child("target")),
        others=tuple(_target(child) for child in read.children("others")),
        route=read.manifest("route"),
        gateway=Gateway(address=read.text("gateway.address").rstrip("/"), host=read.text("gateway.host")),
        rollout=_rollout(read.child("rollout")),
        prometheus=_prometheus(read.child("prometheus")) if read.has("prometheus") else None,
        keys_secret=read.text("apiKeys.secret") if read.has("apiKeys") else "",
        audio_store=read.text("audioStore").rstrip("/") if read.has("audioStore") else "",
    )
    if not read.mistakes:
        read.mistakes.extend(_contradictions(plan))
    if read.mistakes:
        raise PlanError("The plan cannot be carried out. " + " ".join(read.mistakes))
    return plan


def _contradictions(plan: Plan) -> list[str]:
    """What does not fit together although each part can be read."""
    found = []
    declared = routes.parse(plan.declared_http)
    if plan.target.revision not in declared.revisions:
        led_to = ", ".join(sorted(declared.revisions))
        found.append(f"target.revision is {plan.target.revision}, but route leads to {led_to}.")
    named = {target.revision for target in plan.targets}
    unknown = sorted((declared.revisions | declared.mirrored) - named)
    if unknown:
        found.append(f"route leads to {', '.join(unknown)}, which is neither the target nor among others.")
    rollout = plan.rollout
    if rollout.max_hold_seconds < rollout.hold_seconds:
        found.append(
            f"rollout.maxHoldSeconds is {rollout.max_hold_seconds:g}, below holdSeconds, "
            f"{rollout.hold_seconds:g}."
        )
    return found


def _target(read: Reader) -> Target:
    replicas = read.whole("replicas", least=1)
    return Target(
        revision=read.text("revision"),
        version=read.text("version"),
        role=read.choice("role", STABLE, CANARY, WARM),
        replicas=replicas,
        max_replicas=read.whole("maxReplicas", least=replicas),
        start_seconds=read.number("startSeconds", least=0),
        container_port=read.whole("containerPort", least=1),
        artifacts=read.mapping("artifacts"),
        gate=_gate(read.child("gate")),
    )


def _gate(read: Reader) -> Gate:
    if read.has("exchange"):
        return _exchange_gate(read)
    return Gate(
        sample_rate=read.whole("sampleRate", least=1),
        languages=read.texts("languages"),
        texts=read.texts("texts"),
        required=read.texts("required"),
        characters_per_second=_range(read, "charactersPerSecond"),
        rms_dbfs=_range(read, "rmsDbfs"),
        clipped_percent=read.number("clippedPercent", least=0),
        word_error_mean=read.number("wordErrorRate.mean", least=0),
        word_error_each=read.number("wordErrorRate.each", least=0),
        quality_min=read.number("qualityMin", least=0),
        first_audio_seconds=read.number("firstAudioSeconds", least=0),
        real_time_factor=read.number("realTimeFactor", least=0),
        first_audio_ratio=read.number("firstAudioRatio", least=1),
        timeout_seconds=read.number("timeoutSeconds", least=1),
    )


def _exchange_gate(read: Reader) -> Gate:
    nothing = Range(min=0, max=0)
    return Gate(
        sample_rate=0,
        languages=(),
        texts=read.texts("texts"),
        required=read.texts("required"),
        characters_per_second=nothing,
        rms_dbfs=nothing,
        clipped_percent=0,
        word_error_mean=0,
        word_error_each=0,
        quality_min=0,
        first_audio_seconds=read.number("firstAudioSeconds", least=0),
        real_time_factor=0,
        first_audio_ratio=read.number("firstAudioRatio", least=1),
        timeout_seconds=read.number("timeoutSeconds", least=1),
        exchange=Exchange(
            path=read.text("exchange.path"),
            body=read.document("exchange.body"),
            answers=read.mapping("exchange.answers"),
        ),
    )


def _range(read: Reader, path: str) -> Range:
    found = Range(min=read.number(f"{path}.min"), max=read.number(f"{path}.max"))
    if found.min > found.max:
        read.refuse(f"{path}.min", found.min, f"at most {path}.max, {found.max:g}")
    return found


def _rollout(read: Reader) -> Rollout:
    return Rollout(
        strategy=read.choice("strategy", GRADUAL, IMMEDIATE),
        steps=read.steps("steps"),
        hold_seconds=read.number("holdSeconds", least=0),
        max_hold_seconds=read.number("maxHoldSeconds", least=0),
        ready_seconds=read.number("readySeconds", least=1),
        min_samples=read.whole("minSamples", least=1),
        probes_per_second=read.number("probesPerSecond", least=0.1),
        limits=Limits(
            error_percent=read.number("limits.errorPercent", least=0),
            first_audio_ratio=read.number("limits.firstAudioRatio", least=1),
            first_audio_seconds=read.limit("limits.firstAudioSeconds"),
            p99_seconds=read.limit("limits.p99Seconds"),
            p99_ratio=read.limit("limits.p99Ratio"),
        ),
    )


def _prometheus(read: Reader) -> Prometheus:
    queries = read.mapping("queries")
    for name in ("requests", "errors"):
        if not queries.get(name):
            read.refuse(f"queries.{name}", None, "a query in PromQL")
    return Prometheus(
        url=read.text("url").rstrip("/"),
        max_age_seconds=read.number("maxAgeSeconds", least=1),
        queries=queries,
    )
