"""The VirtualService's spec.http as values, and the http of a step. Nothing here speaks to a cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .planner import Weights, normalise

OWNER = "tts/owner"
STABLE = "tts/stable"
PIN_PREFIX = "pin-"
WEIGHTED = "weighted"
VERSION_HEADER = "x-tts-version"

Http = list[dict[str, Any]]
"""spec.http of a VirtualService."""


@dataclass(frozen=True)
class Route:
    """What a spec.http means: `pins` maps a version to the host it is pinned to, `weights` a host to its
    percent.

    The entries themselves are kept beside their meaning, so that a step repeats what is live word for word;
    two routes are equal when they mean the same.
    """

    pins: Mapping[str, str]
    weights: Weights
    pin_entries: Mapping[str, Any] = field(compare=False, repr=False)
    destinations: Mapping[str, Any] = field(compare=False, repr=False)

    @property
    def revisions(self) -> frozenset[str]:
        """The revisions that carry weight."""
        return frozenset(revision_of(host) for host in self.weights)


def revision_of(host: str) -> str:
    """The revision a host stands for: the name of its Service."""
    return host.split(".", 1)[0]


def parse(http: object) -> Route:
    """Whatever is live, as a route. Entries that are neither a pin nor the weighted one are passed over;
    weights that do not sum to 100 are read as the proportions Envoy makes of them."""
    pins: dict[str, str] = {}
    pin_entries: dict[str, Any] = {}
    weighted: Any = None
    for entry in http if isinstance(http, list) else []:
        if not isinstance(entry, dict):
            continue
        version = _pinned_version(entry)
        if version is not None:
            hosts = _hosts(entry)
            if hosts:
                pins[version] = next(iter(hosts))
                pin_entries[version] = entry
        elif weighted is None and not entry.get("match"):
            weighted = entry
    hosts = _hosts(weighted) if weighted is not None else {}
    shares = {host: share for host, (share, _) in hosts.items()}
    if len(shares) == 1 and not any(shares.values()):
        shares = dict.fromkeys(shares, 100)
    destinations = {host: destination for host, (_, destination) in hosts.items()}
    return Route(pins=pins, weights=normalise(shares), pin_entries=pin_entries, destinations=destinations)


def _pinned_version(entry: Mapping[str, Any]) -> str | None:
    """The version an entry pins, read from its match: the name is for people."""
    match = entry.get("match")
    if not str(entry.get("name", "")).startswith(PIN_PREFIX) or not isinstance(match, list) or not match:
        return None
    headers = match[0].get("headers") if isinstance(match[0], dict) else None
    condition = headers.get(VERSION_HEADER) if isinstance(headers, dict) else None
    exact = condition.get("exact") if isinstance(condition, dict) else None
    return exact if isinstance(exact, str) else None


def _hosts(entry: Mapping[str, Any]) -> dict[str, tuple[int, dict[str, Any]]]:
    """host -> (weight, destination) of an entry's `route`."""
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for item in entry.get("route") or []:
        destination = item.get("destination") if isinstance(item, dict) else None
        host = destination.get("host") if isinstance(destination, dict) else None
        if not isinstance(host, str) or not isinstance(destination, dict):
            continue
        weight = item.get("weight")
        share = int(weight) if isinstance(weight, int | float) and weight > 0 else 0
        found[host] = (found.get(host, (0, destination))[0] + share, destination)
    return found


def step_http(declared: Http, live: Route, weights: Weights) -> Http:
    """The http of a step: the pins of both (the live one wins for the same version), and `weights`."""
    target = parse(declared)
    pins = {**target.pin_entries, **live.pin_entries}
    destinations = {**live.destinations, **target.destinations}
    shape: dict[str, Any] = next((entry for entry in declared if not entry.get("match")), {"name": WEIGHTED})
    route = [
        {"destination": destinations[host], "weight": weight}
        for host, weight in sorted(weights.items())
        if weight > 0
    ]
    return [*(pins[version] for version in sorted(pins)), {**shape, "route": route}]


def only(host: str, live: Route, http: Http) -> Http:
    """The live http with all weight on one of its destinations."""
    return step_http(http, live, {host: 100})


def step_spec(declared: Mapping[str, Any], live: Mapping[str, Any], http: Http) -> dict[str, Any]:
    """The spec of a step: as live, reachable under the live and the declared hosts and gateways, with
    `http`."""
    spec = {**live, "http": http}
    for key in ("hosts", "gateways"):
        names = [*(live.get(key) or []), *(declared.get(key) or [])]
        if names:
            spec[key] = list(dict.fromkeys(names))
    return spec


def stable_http(annotations: Mapping[str, str], live_http: Http) -> Http:
    """What to restore: the last settled http. An empty list means that no route had settled yet.

    A route without a readable annotation was never touched by a release: what is live is what was declared.
    """
    try:
        stable = json.loads(annotations[STABLE])
    except (KeyError, ValueError):
        return live_http
    return stable if isinstance(stable, list) else live_http


def dump(http: Http) -> str:
    """The annotation's text for an http."""
    return json.dumps(http, sort_keys=True, separators=(",", ":"))


def describe(weights: Weights) -> str:
    """`90 % hibari-1-0-0-aaaaaa, 10 % hibari-1-1-0-bbbbbb`."""
    return (
        ", ".join(f"{weight} % {revision_of(host)}" for host, weight in sorted(weights.items())) or "nothing"
    )
