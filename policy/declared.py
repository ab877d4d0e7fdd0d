"""What a policy looks at: a resource as it is declared, in plain values."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final


class Unknown(Enum):
    """A value that is known only once another resource is there. Previews have them, updates do not."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True)
class Timeouts:
    """How long the engine waits, in seconds; 0 where the resource does not say."""

    create: float = 0
    update: float = 0
    delete: float = 0


@dataclass(frozen=True)
class Declared:
    """One resource. `properties` are its inputs, JSON values or UNKNOWN at any depth; `sources` are the
    resources that an input comes from, by the input's name, as URNs."""

    type: str
    name: str
    urn: str
    properties: Mapping[str, Any]
    timeouts: Timeouts = Timeouts()
    protected: bool = False
    sources: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The kind of a Kubernetes object; empty for anything else."""
        return self.type.rpartition(":")[2] if self.type.startswith("kubernetes:") else ""


Config = Mapping[str, Any]
"""What a pack's configuration says about one rule; its defaults are filled in."""

Options = Mapping[str, Mapping[str, Any]]
"""The JSON schema of each value of a rule's configuration, with its default."""


@dataclass(frozen=True)
class Rule:
    """What no resource may do. `check` gives a sentence for each violation: the property, its value, why it
    is wrong and what to do."""

    name: str
    description: str
    check: Callable[[Declared, Config], Iterable[str]]
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class StackRule:
    """What no stack may do. `check` gives a sentence and the resource it is about, for each violation."""

    name: str
    description: str
    check: Callable[[Sequence[Declared], Config], Iterable[tuple[str, Declared]]]
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class Pod:
    """The specification of a pod, and where it stands in its object."""

    path: str
    spec: Mapping[str, Any]


_TEMPLATES = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"),
        ("spec", "template", "spec"),
    ),
}


def pods(declared: Declared) -> Iterator[Pod]:
    """The pod that an object makes, if it makes any."""
    keys = _TEMPLATES.get(declared.kind)
    if keys is not None:
        yield Pod(".".join(keys), mapping(at(declared.properties, *keys)))


def containers(pod: Pod) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Path and definition of every container of a pod, those that run first included."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for container in items(pod.spec.get(key)):
            yield f"{pod.path}.{key}[{container.get('name', '?')}]", container


def at(value: Any, *keys: str) -> Any:
    """What stands below `keys`; None where nothing does, UNKNOWN where the way there is not known."""
    for key in keys:
        if value is UNKNOWN:
            return UNKNOWN
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping, empty where there is none or it is not known."""
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Mapping[str, Any]]:
    """The mappings of a list."""
    return [each for each in listed(value) if isinstance(each, Mapping)]


def listed(value: Any) -> list[Any]:
    """A list, empty where there is none or it is not known."""
    return list(value) if isinstance(value, list | tuple) else []


def number(value: Any) -> float | None:
    """A number, also one written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None
