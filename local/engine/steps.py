"""What a program declares of one object, and what bringing it to the cluster takes. Pure."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from enum import Enum

from local.engine import diff
from local.engine.awaits import DEFAULT_TIMEOUT
from local.engine.cluster import Manifest
from local.engine.kinds import Address

STACK_LABEL = "tts/stack"
URN_ANNOTATION = "tts/urn"


class Action(Enum):
    """What happens to one object; the value is how it is counted."""

    CREATE = "created"
    UPDATE = "updated"
    REPLACE = "replaced"
    DELETE = "deleted"
    UNCHANGED = "unchanged"


MARKS = {Action.CREATE: "+", Action.UPDATE: "~", Action.REPLACE: "±", Action.DELETE: "-"}


@dataclass(frozen=True)
class Wanted:
    """One object that the program declares. `timeout` in seconds; of `ignored`, top-level keys, what is live
    counts once the object exists. It is written to `folder` where that is not empty, else brought to the
    cluster; `secret`: whether a part of it is one."""

    urn: str
    manifest: Manifest
    delete_before_replace: bool = False
    timeout: float = DEFAULT_TIMEOUT
    ignored: tuple[str, ...] = ()
    folder: str = ""
    secret: bool = False

    @property
    def address(self) -> Address:
        """Where it lies."""
        return Address.of(self.manifest)

    def beside(self, live: Manifest | None) -> Wanted:
        """Return what is wanted now that `live` is there."""
        if live is None or not self.ignored:
            return self
        declared = {key: value for key, value in self.manifest.items() if key not in self.ignored}
        kept = {key: live[key] for key in self.ignored if key in live}
        return replace(self, manifest=declared | kept)

    def asks(self, annotation: str) -> bool:
        """Whether one of Pulumi's annotations is set to `true`."""
        return bool(self.manifest["metadata"].get("annotations", {}).get(annotation) == "true")


@dataclass(frozen=True)
class Step:
    """What one object needs; `first` are the objects that must be gone before it is applied."""

    action: Action
    live: Manifest | None = None
    changes: tuple[diff.Change, ...] = ()
    reason: str = ""
    first: tuple[Manifest, ...] = ()


def stamped(manifest: Manifest, *, stack: str, urn: str) -> Manifest:
    """Return the manifest with the marks by which this stack finds it again."""
    marked = copy.deepcopy(manifest)
    metadata = marked.setdefault("metadata", {})
    metadata["labels"] = (metadata.get("labels") or {}) | {STACK_LABEL: stack}
    metadata["annotations"] = (metadata.get("annotations") or {}) | {URN_ANNOTATION: urn}
    return marked
