"""Reading the live route: which revision and version carries which weight. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

OWNER = "tts/owner"


@dataclass(frozen=True)
class Share:
    """The part of the traffic, in percent, that one revision gets; version is empty where no pin names it."""

    revision: str
    version: str
    weight: int


def shares(route: Mapping[str, Any]) -> tuple[Share, ...]:
    """Return who gets which weight by a VirtualService, the largest first; zero weights are left out."""
    http = route.get("spec", {}).get("http", [])
    versions = {host: version for version, host in _pins(http)}
    weighted: Mapping[str, Any] = next((entry for entry in http if entry.get("name") == "weighted"), {})
    found = []
    for destination in weighted.get("route", []):
        host = str(destination.get("destination", {}).get("host", ""))
        weight = int(destination.get("weight", 100))
        if weight:
            found.append(Share(host.partition(".")[0], versions.get(host, ""), weight))
    return tuple(sorted(found, key=lambda share: -share.weight))


def _pins(http: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for entry in http:
        name = str(entry.get("name", ""))
        if name.startswith("pin-") and entry.get("route"):
            yield name.removeprefix("pin-"), str(entry["route"][0].get("destination", {}).get("host", ""))
