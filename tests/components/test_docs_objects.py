"""docs/what-runs-in-the-cluster.md lists what the program declares: objects, rights, ports, types of AWS."""

import re
from typing import Any

import pytest

from tests.aws.conftest import OWN_CLUSTER

from .conftest import DIGEST, ROOT, Program, make_checkout, run_stack

PAGE = (ROOT / "docs" / "what-runs-in-the-cluster.md").read_text()
EVERYTHING = {
    "tts:createNamespace": True,
    "tts:autoscaling": {"maxReplicas": 3},
    "tts:canary": {"version": "1.1.0", "weight": 10},
    "tts:webhookSecret": "channel",
    "tts:monitoring": {"runbooks": "https://git.example.com/docs/runbooks", "webhookSecret": "channel"},
    "tts:store": {"bucket": "outputs", "region": "eu-central-1"},
    "tts:resources": {"gpus": 1},
    "tts:nodeGroup": {
        "enabled": True,
        "clusterName": "speech",
        "subnetIds": ["subnet-1"],
        "maxSize": 9,
        "devicePlugin": f"registry.example.com/k8s-device-plugin:v1@{DIGEST}",
    },
}


def rows(page: str, first: str) -> list[list[str]]:
    """The cells of the tables whose head begins with the column names `first`, without their backquotes."""
    found: list[list[str]] = []
    inside = False
    for line in page.splitlines():
        if line.startswith(f"| {first} |"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            found.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return found


def declared(program: Program) -> set[tuple[str, str]]:
    """Kind and name of every object, with the words that the page uses for the names of this run."""
    route = program.kind("VirtualService").inputs["metadata"]
    release = program.kind("Job", logical="release").inputs["metadata"]["name"]
    words = {release: "<release>", **dict.fromkeys(program.revisions().values(), "<revision>")}
    words |= {route["name"]: "<name>", route["namespace"]: "<namespace>"}
    found = set()
    for each in program.registered:
        if "kind" in each.inputs:
            name = each.inputs["metadata"]["name"]
            for word, stands_for in words.items():  # the longest come first
                if name == word or name.startswith(f"{word}-"):
                    name = stands_for + name.removeprefix(word)
                    break
            found.add((each.inputs["kind"], name))
    return found


def listed(page: str) -> set[tuple[str, str]]:
    return {(row[0], row[1]) for row in rows(page, "kind | name | why")}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> list[Program]:
    folder = make_checkout(tmp_path_factory.mktemp("checkout"))
    stacks = (("dev", {}), ("staging", EVERYTHING), ("prod", {}), ("prod", OWN_CLUSTER))
    return [run_stack(folder, stack, changes) for stack, changes in stacks]


def test_the_page_lists_every_object_and_no_other(everything: list[Program]) -> None:
    assert set().union(*(declared(program) for program in everything)) == listed(PAGE)


def test_an_object_that_the_page_leaves_out_would_be_seen(everything: list[Program]) -> None:
    shorter = "\n".join(line for line in PAGE.splitlines() if not line.startswith("| PodDisruptionBudget"))
    found = set().union(*(declared(program) for program in everything))
    assert found - listed(shorter) == {("PodDisruptionBudget", "<revision>")}


def test_the_page_lists_every_type_of_aws(everything: list[Program]) -> None:
    types = {
        f"{each.type.split(':')[1].split('/')[0]}.{each.type.split(':')[2]}"
        for program in everything
        for each in program.registered
        if each.type.startswith("aws:")
    }
    assert types == {row[0] for row in rows(PAGE, "type | what for")}


def test_the_page_lists_the_rights_of_a_release(everything: list[Program]) -> None:
    program = everything[0]
    names = {"": "all", "hibari": "its own route", "hibari-release": "its own lease"}
    names |= dict.fromkeys(program.revisions().values(), "the declared revisions")
    rules = [
        [
            rule["apiGroups"][0] or "core",
            rule["resources"][0],
            ", ".join(rule["verbs"]),
            names[",".join(rule.get("resourceNames", []))],
        ]
        for rule in program.kind("Role").inputs["rules"]
    ]
    assert rules == rows(PAGE, "group | resource | verbs")


def ports_of(value: Any) -> set[int]:
    """Every port that a manifest names by number."""
    if isinstance(value, dict):
        own = {int(value[key]) for key in ("port", "containerPort", "number") if _is_port(value.get(key))}
        return own.union(*(ports_of(item) for item in value.values()))
    return set().union(*(ports_of(item) for item in value)) if isinstance(value, list) else set()


def _is_port(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def test_the_page_lists_every_port(everything: list[Program]) -> None:
    kinds = ("NetworkPolicy", "Service", "Gateway", "Deployment", "Job")
    found = {
        port
        for program in everything
        for each in program.registered
        if each.inputs.get("kind") in kinds
        for port in ports_of(each.inputs["spec"])
    }
    found -= {6006}  # where dev's own gateway is, on this machine
    assert found == {int(port) for row in rows(PAGE, "port | of") for port in re.findall(r"\d+", row[0])}
