"""The document that `pulumi preview --json --show-sames` prints -> steps."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import PipelineError

QUIET = ("same", "read", "refresh")
"""Operations that change nothing."""


@dataclass(frozen=True)
class Step:
    """What is to happen to one resource. `old` and `new` are its inputs, empty where there is none;
    `retained` and `protected` say how it is deleted, if it ever is."""

    op: str
    urn: str
    type: str
    name: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    retained: bool
    protected: bool

    @property
    def changes(self) -> bool:
        return self.op not in QUIET

    @property
    def kind(self) -> str:
        """The last part of the type: a Kubernetes kind, an AWS resource."""
        return self.type.rpartition(":")[2]

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Those that will be, or those that were where nothing will be."""
        return self.new or self.old


@dataclass(frozen=True)
class Preview:
    """All steps, those that change nothing included, in the engine's order."""

    steps: tuple[Step, ...]

    def of(self, kind: str) -> tuple[Step, ...]:
        """The steps of a kind."""
        return tuple(step for step in self.steps if step.kind == kind)

    @property
    def counts(self) -> dict[str, int]:
        """How many resources are created, updated, replaced and deleted; components are none."""
        found: dict[str, int] = {}
        for step in self.steps:
            if step.changes and not step.type.startswith(("tts:", "pulumi:")):
                found[step.op] = found.get(step.op, 0) + 1
        return found


def read_preview(text: str) -> Preview:
    """Raises PipelineError when the text is no preview, or one that failed."""
    try:
        document = json.loads(text)
    except ValueError:
        raise PipelineError("This is no JSON: give the output of `pulumi preview --json`.") from None
    if not isinstance(document, Mapping):
        raise PipelineError("This is no preview: give the output of `pulumi preview --json`.")
    wrong = [
        str(each.get("message", "")).strip()
        for each in document.get("diagnostics", [])
        if each.get("severity") == "error"
    ]
    if wrong or "error" in document:
        raise PipelineError("The preview failed.", *wrong, *([str(document["error"])] if not wrong else []))
    if "steps" not in document:
        raise PipelineError("This preview has no steps: give the output of `pulumi preview --json`.")
    return Preview(tuple(_step(each) for each in document["steps"]))


def _step(document: Mapping[str, Any]) -> Step:
    old, new = document.get("oldState") or {}, document.get("newState") or {}
    state = new or old
    return Step(
        op=str(document["op"]),
        urn=str(document["urn"]),
        type=str(state.get("type", "")),
        name=str(document["urn"]).rpartition("::")[2],
        old=old.get("inputs") or {},
        new=new.get("inputs") or {},
        retained=bool(state.get("retainOnDelete")),
        protected=bool(state.get("protect")),
    )
