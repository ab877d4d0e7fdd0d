"""The stacks of this project as the policies see them, and the policy pack as the Pulumi CLI starts it."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from policy.declared import Declared, Timeouts
from policy.rules import RULES, STACK_RULES, configured
from tests.aws.conftest import OWN_CLUSTER
from tests.components.conftest import Registered, make_checkout, run_stack

EVERYTHING = {
    "tts:createNamespace": True,
    "tts:autoscaling": {"maxReplicas": 3},
    "tts:canary": {"version": "1.1.0", "weight": 10},
    "tts:store": {"bucket": "outputs", "region": "eu-central-1"},
    "tts:monitoring": {"runbooks": "https://git.example.com/docs/runbooks", "webhookSecret": "channel"},
}
STACKS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("dev", {}),
    ("staging", {}),
    ("staging", EVERYTHING),
    ("prod", {}),
    ("prod", {"tts:gitops": {"repository": "https://github.com/example/deploy", "path": "prod"}}),
    ("prod", OWN_CLUSTER),
)


def seconds(text: str) -> float:
    """What Pulumi makes of `90s`."""
    return float(re.fullmatch(r"([0-9]+)s", text)[1]) if text else 0  # type: ignore[index]


def declared(resource: Registered) -> Declared:
    """A resource that the program registered, as a policy sees it."""
    waits, request = resource.request.customTimeouts, resource.request
    return Declared(
        type=resource.type,
        name=resource.name,
        urn=resource.urn,
        properties=copy.deepcopy(resource.inputs),
        timeouts=Timeouts(seconds(waits.create), seconds(waits.update), seconds(waits.delete)),
        protected=request.protect,
        sources={key: frozenset(value.urns) for key, value in request.propertyDependencies.items()},
    )


def violations(resources: list[Declared], **configs: Mapping[str, Any]) -> dict[str, list[str]]:
    """Rule -> its sentences, of the rules that are broken."""
    found: dict[str, list[str]] = {}
    for rule in RULES:
        config = configured(rule.options, configs.get(rule.name.replace("-", "_")))
        for resource in resources:
            for sentence in rule.check(resource, config):
                found.setdefault(rule.name, []).append(sentence)
    for stack_rule in STACK_RULES:
        config = configured(stack_rule.options, configs.get(stack_rule.name.replace("-", "_")))
        for sentence, _ in stack_rule.check(resources, config):
            found.setdefault(stack_rule.name, []).append(sentence)
    return found


def kind(resources: list[Declared], name: str) -> Declared:
    """The first resource of that kind or type."""
    return next(each for each in resources if name in (each.kind, each.type))


def changed(resources: list[Declared], about: Declared, **values: Any) -> list[Declared]:
    """The resources with other values for one of them."""
    return [replace(each, **values) if each is about else each for each in resources]


Rendered = Callable[..., list[Declared]]


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """Renders a stack through the program itself; the same stack is rendered once."""
    folder = make_checkout(tmp_path_factory.mktemp("checkout"))
    known: dict[str, list[Registered]] = {}

    def render(
        stack: str, changes: Mapping[str, Any] | None = None, *, preview: bool = False
    ) -> list[Declared]:
        key = json.dumps([stack, changes or {}, preview])
        if key not in known:
            known[key] = run_stack(folder, stack, changes, preview=preview).registered
        return [declared(each) for each in known[key]]

    return render
