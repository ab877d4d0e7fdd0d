"""The VirtualService's spec.http as values, and the http of a step. Nothing here speaks to a cluster."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .planner import Weights, normalise

OWNER = "tts/owner"
STABLE = "tts/stable"
PROVEN = "tts/proven"
REPLICAS = "tts/replicas"
PROVEN_KEPT = 10
PIN_PREFIX = "pin-"
WEIGHTED = "weighted"
VERSION_HEADER = "x-tts-version"
REVISION_HEADER = "x-tts-revision"

Http = list[dict[str, Any]]
"""spec.http of a VirtualService."""


@dataclass(frozen=True)
class Route:
    """What a spec.http means: `pins` maps a version to the host it is pinned to (the first entry wins, as it
    does in Envoy), `weights` a host to its percent, `mirrored` are the revisions fed copies of requests.

    The pin entries and destinations themselves are kept by host beside their meaning, so that a step repeats
    what is live word for word; two routes are equal when they mean the same.
    """

    pins: Mapping[str, str]
    weights: Weights
    mirrored: frozenset[str]
    versions: Mapping[str, str] = field(compare=False, repr=False)
    """Revision -> version, as far as the pins say."""
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
    """Whatever is live, as a route. Entries that are neither a pin, a mirror nor the weighted one are passed
    over; weights that do not sum to 100 are read as the proportions Envoy makes of them."""
    pins: dict[str, str] = {}
    versions: dict[str, str] = {}
    pin_entries: dict[str, Any] = {}
    mirrored: set[str] = set()
    weighted: Any = None
    for entry in http if isinstance(http, list) else []:
        if not isinstance(entry, dict):
            continue
        version, hosts = _pinned_version(entry), _hosts(entry)
        if version is not None:
            if hosts:
                host = next(iter(hosts))
                pins.setdefault(version, host)
                pin_entries.setdefault(host, entry)
                versions.setdefault(revision_of(host), version)
            continue
        mirror = entry.get("mirror")
        if isinstance(mirror, dict) and isinstance(mirror.get("host"), str):
            mirrored.add(revision_of(mirror["host"]))
        if weighted is None and not entry.get("match"):
            weighted = entry
    hosts = _hosts(weighted) if weighted is not None else {}
    return Route(
        pins=pins,
        weights=_shares(hosts),
        mirrored=frozenset(mirrored),
        versions=versions,
        pin_entries=pin_entries,
        destinations={host: destination for host, (_, destination) in hosts.items()},
    )


def _shares(hosts: Mapping[str, tuple[int, dict[str, Any]]]) -> dict[str, int]:
    """Percents of hosts; the weight of a single one may be left out."""
    shares = {host: share for host, (share, _) in hosts.items()}
    if len(shares) == 1 and not any(shares.values()):
        shares = dict.fromkeys(shares, 100)
    return normalise(shares)


def _pinned_version(entry: Mapping[str, Any]) -> str | None:
    """The version an entry pins, read from its match: the name is for people."""
    match = entry.get("match")
    if not str(entry.get("name", "")).startswith(PIN_PREFIX) or not isinstance(match, list):
        return None
    for one in match:
        headers = one.get("headers") if isinstance(one, dict) else None
        condition = headers.get(VERSION_HEADER) if isinstance(headers, dict) else None
        exact = condition.get("exact") if isinstance(condition, dict) else None
        if isinstance(exact, str):
            return exact
    return None


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
    """The http of a step: the pins of both (the live ones first, so that they win for a version), and
    `weights`. Nothing is mirrored on the way."""
    target = parse(declared)
    pins = dict(live.pin_entries)
    for host, entry in target.pin_entries.items():
        pins.setdefault(host, entry)
    destinations = {**live.destinations, **target.destinations}
    shape: dict[str, Any] = next((entry for entry in declared if not entry.get("match")), {"name": WEIGHTED})
    shape = {key: value for key, value in shape.items() if not key.startswith("mirror")}
    route = [
        {"destination": destinations[host], "weight": weight}
        for host, weight in sorted(weights.items())
        if weight > 0
    ]
    return [*pins.values(), {**shape, "route": route}]


def only(host: str, declared: Http, live: Route, *, without: Collection[str]) -> Http:
    """All weight on one of the destinations, and no pin to those in `without`: their requests follow the
    weights."""
    http = step_http(declared, live, {host: 100})
    return [entry for entry in http if not entry.get("match") or not _hosts(entry).keys() & set(without)]


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


def proven_of(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """The revisions that have settled with weight before, the newest first."""
    try:
        found = json.loads(annotations[PROVEN])
    except (KeyError, ValueError):
        return ()
    return tuple(str(item) for item in found) if isinstance(found, list) else ()


def replicas_of(annotations: Mapping[str, str]) -> dict[str, int]:
    """Revision -> how many replicas it had when the release under way began; empty where nobody counted."""
    try:
        found = json.loads(annotations[REPLICAS])
    except (KeyError, ValueError):
        return {}
    counts = found.items() if isinstance(found, dict) else ()
    return {revision: count for revision, count in counts if isinstance(count, int)}


def proven_with(proven: Iterable[str], revisions: Iterable[str]) -> tuple[str, ...]:
    """`proven` with `revisions` as the newest, bounded."""
    return tuple(dict.fromkeys([*sorted(revisions), *proven]))[:PROVEN_KEPT]


def dump(value: Http | Sequence[str] | Mapping[str, int]) -> str:
    """An annotation's text: an http, names, or numbers by name."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def describe(weights: Weights) -> str:
    """`90 % hibari-1-0-0-aaaaaa, 10 % hibari-1-1-0-bbbbbb`."""
    return (
        ", ".join(f"{weight} % {revision_of(host)}" for host, weight in sorted(weights.items())) or "nothing"
    )
