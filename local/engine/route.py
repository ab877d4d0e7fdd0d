"""Reading the live route: which revision and version carries which weight. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

OWNER, STABLE = "tts/owner", "tts/stable"
_VERSION = "x-tts-version"


@dataclass(frozen=True)
class Share:
    """The part of the traffic, in percent, that one revision gets; version is empty where no pin names it.

    `mirrored`: it is fed copies of all speech requests.
    """

    revision: str
    version: str
    weight: int
    mirrored: bool = False


def shares(route: Mapping[str, Any]) -> tuple[Share, ...]:
    """Return who gets which weight by a VirtualService, the largest first; zero weights are left out."""
    return tuple(share for share in reachable(route) if share.weight)


def reachable(route: Mapping[str, Any]) -> tuple[Share, ...]:
    """Return every revision that a VirtualService leads to, the largest weight first."""
    http = route.get("spec", {}).get("http", [])
    versions = dict(_pins(http))
    weights: dict[str, int] = dict.fromkeys(versions, 0)
    weighted: Mapping[str, Any] = next((entry for entry in http if entry.get("name") == "weighted"), {})
    for destination in weighted.get("route", []):
        weights[_revision(destination.get("destination", {}))] = int(destination.get("weight", 100))
    mirrored = {_revision(entry["mirror"]) for entry in http if entry.get("mirror")}
    found = [
        Share(revision, versions.get(revision, ""), weights.get(revision, 0), revision in mirrored)
        for revision in dict.fromkeys([*weights, *sorted(mirrored)])
        if revision in versions or weights.get(revision) or revision in mirrored
    ]
    return tuple(sorted(found, key=lambda share: -share.weight))


def settled(route: Mapping[str, Any]) -> bool:
    """Whether no release is in the middle of moving the weights: the route is the one to go back to."""
    stable = route["metadata"].get("annotations", {}).get(STABLE)
    try:
        return stable is None or json.loads(stable) == route["spec"].get("http")
    except ValueError:
        return False


def _pins(http: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The revision and version of each entry that a version's header matches."""
    for entry in http:
        matches = [match.get("headers", {}).get(_VERSION, {}) for match in entry.get("match") or []]
        version = next((how["exact"] for how in matches if "exact" in how), None)
        if version and entry.get("route"):
            yield _revision(entry["route"][0].get("destination", {})), str(version)


def _revision(destination: Mapping[str, Any]) -> str:
    return str(destination.get("host", "")).partition(".")[0]
