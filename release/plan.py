"""plan.json as values. Every mistake in it is reported at once, each by the property it is in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import route as routes
from .errors import PlanError
from .route import Http


@dataclass(frozen=True)
class Target:
    """The revision to release; `container_port` is where its pods listen."""

    revision: str
    version: str
    replicas: int
    container_port: int


@dataclass(frozen=True)
class Gateway:
    """Where the route is reached. `host` is the Host header, `*` for none."""

    address: str
    host: str


@dataclass(frozen=True)
class Rollout:
    """`steps`: percents of the way, rising, the last one 100. `hold_seconds`: how long each step is watched.
    `ready_seconds`: how long the candidate may take to become ready."""

    steps: tuple[int, ...]
    hold_seconds: float
    ready_seconds: float


@dataclass(frozen=True)
class Range:
    """A closed range of numbers."""

    min: float
    max: float

    def holds(self, value: float) -> bool:
        """Whether the value lies in the range; NaN never does."""
        return self.min <= value <= self.max


@dataclass(frozen=True)
class Gate:
    """What every candidate pod must show. `sample_rate` in hertz; `timeout_seconds` for one synthesis."""

    sample_rate: int
    texts: tuple[str, ...]
    required: tuple[str, ...]
    characters_per_second: Range
    rms_dbfs: Range
    timeout_seconds: float


@dataclass(frozen=True)
class Plan:
    """All a release is told. `route` is the whole VirtualService as the program declares it."""

    release: str
    name: str
    namespace: str
    model: str
    target: Target
    route: Mapping[str, Any]
    gateway: Gateway
    rollout: Rollout
    gate: Gate

    @property
    def declared_http(self) -> Http:
        """spec.http as the program declares it."""
        http: Http = self.route["spec"]["http"]
        return http


class _Reader:
    """Reads properties and keeps the mistakes it meets."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self.mistakes: list[str] = []

    def _find(self, path: str) -> Any:
        value: Any = self._document
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def _refuse(self, path: str, value: object, wanted: str) -> None:
        shown = "is missing" if value is None else f"is {json.dumps(value)[:80]}"
        self.mistakes.append(f"{path} {shown}; it must be {wanted}.")

    def text(self, path: str) -> str:
        value = self._find(path)
        if isinstance(value, str) and value:
            return value
        self._refuse(path, value, "a text that is not empty")
        return ""

    def texts(self, path: str) -> tuple[str, ...]:
        value = self._find(path)
        if (
            isinstance(value, list)
            and value
            and all(isinstance(item, str) and item.strip() for item in value)
        ):
            return tuple(value)
        self._refuse(path, value, "a list of one or more texts, none of them empty")
        return ()

    def number(self, path: str, *, least: float = -math.inf) -> float:
        value = self._find(path)
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and value >= least
        ):
            return float(value)
        self._refuse(path, value, "a number" + ("" if least == -math.inf else f" of at least {least:g}"))
        return math.nan

    def whole(self, path: str, *, least: int) -> int:
        value = self.number(path, least=least)
        if math.isfinite(value) and value != int(value):
            self._refuse(path, value, "a whole number")
        return int(value) if math.isfinite(value) else least

    def range(self, path: str) -> Range:
        found = Range(min=self.number(f"{path}.min"), max=self.number(f"{path}.max"))
        if found.min > found.max:
            self.mistakes.append(f"{path}.min is {found.min:g}, above {path}.max, {found.max:g}.")
        return found

    def steps(self, path: str) -> tuple[int, ...]:
        value = self._find(path)
        whole = isinstance(value, list) and all(
            type(item) in (int, float) and item == int(item) for item in value
        )
        if whole and value and value[-1] == 100 and value[0] > 0 and value == sorted(set(value)):
            return tuple(int(item) for item in value)
        self._refuse(path, value, "a rising list of whole percents above 0 that ends with 100")
        return ()

    def manifest(self, path: str) -> Mapping[str, Any]:
        value = self._find(path)
        http = self._find(f"{path}.spec.http")
        if (
            isinstance(value, dict)
            and isinstance(http, list)
            and sum(routes.parse(http).weights.values()) == 100
        ):
            return value
        self._refuse(path, value, "the VirtualService's manifest, with a weighted entry in spec.http")
        return {}


def parse(text: str) -> Plan:
    """The plan in `text`. Raises PlanError with one sentence for each mistake."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise PlanError(f"The plan is not JSON: {error}.") from error
    read = _Reader(document if isinstance(document, dict) else {})
    plan = Plan(
        release=read.text("release"),
        name=read.text("name"),
        namespace=read.text("namespace"),
        model=read.text("model"),
        target=Target(
            revision=read.text("target.revision"),
            version=read.text("target.version"),
            replicas=read.whole("target.replicas", least=1),
            container_port=read.whole("target.containerPort", least=1),
        ),
        route=read.manifest("route"),
        gateway=Gateway(address=read.text("gateway.address").rstrip("/"), host=read.text("gateway.host")),
        rollout=Rollout(
            steps=read.steps("rollout.steps"),
            hold_seconds=read.number("rollout.holdSeconds", least=0),
            ready_seconds=read.number("rollout.readySeconds", least=1),
        ),
        gate=Gate(
            sample_rate=read.whole("gate.sampleRate", least=1),
            texts=read.texts("gate.texts"),
            required=read.texts("gate.required"),
            characters_per_second=read.range("gate.charactersPerSecond"),
            rms_dbfs=read.range("gate.rmsDbfs"),
            timeout_seconds=read.number("gate.timeoutSeconds", least=1),
        ),
    )
    if not read.mistakes:
        revisions = routes.parse(plan.declared_http).revisions
        if plan.target.revision not in revisions:
            led_to = ", ".join(sorted(revisions))
            read.mistakes.append(f"target.revision is {plan.target.revision}, but route leads to {led_to}.")
    if read.mistakes:
        raise PlanError("The plan cannot be carried out. " + " ".join(read.mistakes))
    return plan
