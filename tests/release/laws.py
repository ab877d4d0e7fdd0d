"""What must hold at every moment, checked inside every write of the route and of the lease."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from release import route
from release.lease import LEASE_SECONDS

if TYPE_CHECKING:
    from .simulation import View
    from .world import World

CHECKED = 11
"""Right answers in a row, the last one of speech, before a route may be the one to restore."""


class BrokenLawError(BaseException):
    """Nothing catches it: the test fails."""


def law(holds: object, sentence: str) -> None:
    if not holds:
        raise BrokenLawError(sentence)


def weights_of(http: route.Http) -> dict[str, int]:
    return {route.revision_of(host): weight for host, weight in route.parse(http).weights.items()}


def obey_route(world: World, before: Mapping[str, int]) -> None:
    """Of anyone's route: weights sum to 100; what has weight is there; what gained weight is ready."""
    assert world.route is not None
    raw = [item["weight"] for item in world.route["spec"]["http"][-1]["route"]]
    law(sum(raw) == 100, f"The weights are {raw}.")
    for name, weight in world.weights().items():
        law(name in world.revisions, f"{name} has {weight} % and does not exist.")
        gained = weight > before.get(name, 0)
        law(not gained or world.revisions[name].ready > 0, f"{name} is not ready.")


def obey_write(world: World, view: View, manifest: Mapping[str, Any]) -> None:
    """Of a write by a release or its guard, before it lands."""
    annotations = manifest["metadata"]["annotations"]
    http, stable = manifest["spec"]["http"], json.loads(annotations[route.STABLE])
    before, after = world.weights(), weights_of(http)
    gained = {name for name, weight in after.items() if weight > before.get(name, 0)}
    gained = gained if world.route is not None else set()
    owner = annotations[route.OWNER]
    last = world.route["metadata"].get("annotations", {}).get(route.OWNER, "") if world.route else ""
    law(world.took(last) <= world.took(owner), f"{owner} wrote after {last}, which took the lease later.")
    _obey_gains(world, view, gained, after)
    _obey_scale(world, gained, after)
    _obey_stable(world, view, http, stable)
    mirrored = route.parse(http).mirrored
    live = world.route["spec"]["http"] if world.route is not None else []
    _obey_tries(view.plan.declared_http, http, kept=[*live, *world.stable_http()])
    whole = http in (view.plan.declared_http, world.stable_http(), live)
    law(not mirrored or whole, f"{', '.join(mirrored)} is fed copies on the way.")
    proven = set(json.loads(annotations[route.PROVEN]))
    law(proven <= world.settled, f"{', '.join(proven - world.settled)} is called proven but never settled.")


def _obey_tries(declared: route.Http, http: route.Http, *, kept: route.Http) -> None:
    """What is live or restored stays as it is; all else is tried again as declared, and has no time-out."""
    for entry in http:
        same = entry.get("retries") == declared[-1]["retries"] and "timeout" not in entry
        law(entry in kept or same, f"{entry['name']} is tried again as {entry.get('retries')}.")


def _obey_gains(world: World, view: View, gained: set[str], after: Mapping[str, int]) -> None:
    stable, plan = world.stable_weights(), view.plan
    declared = weights_of(plan.declared_http)
    idle = {target.revision for target in plan.others} - {*declared}
    for name in gained:
        others = {*world.weights(), *stable} - {name}
        alone = not any(view.capacity(other) for other in others)
        restored = name in stable
        law(restored or alone or name not in idle, f"{name} is warm or mirrored and gets weight.")
        law(restored or alone or not view.against(), f"{name} gets weight after a failing finding.")
        most = view.capacity(name, rises=after[name] > stable.get(name, 0))
        law(after[name] <= most or alone or view.waited(),
            f"{name} gets {after[name]} % with pods for {most} %.")  # fmt: skip


def _obey_scale(world: World, gained: set[str], after: Mapping[str, int]) -> None:
    """While weights are on their way no autoscaler takes away what a restoration, or what rises, needs."""
    stable = world.stable_weights()
    for name in {*stable, *gained} if after != stable else ():
        free = name in world.revisions and world.revisions[name].holder == ""
        law(not free, f"The autoscaler of {name} may take pods away while the weights are {dict(after)}.")


def obey_hold(world: World, holder: str) -> None:
    """An autoscaler is let go only when the route has settled, again or anew."""
    law(holder or world.weights() == world.stable_weights(), "An autoscaler is let go on the way.")


def _obey_stable(world: World, view: View, http: route.Http, stable: route.Http) -> None:
    """What is to be restored changes only when the declared route was checked; or when it cannot serve."""
    if world.route is None:
        law(stable == [], "A first route is to be restored before it was checked.")
        return
    before, live = world.stable_http(), route.parse(world.route["spec"]["http"])
    if view.checked >= CHECKED and stable == http == view.plan.declared_http and route.parse(http) == live:
        world.settled |= {*weights_of(stable)}
        return
    if stable == before:
        return
    law(stable == http, "What is to be restored is not what is live.")
    lost = [name for name in weights_of(before) if not view.capacity(name)]
    if before and lost:
        law(not {*lost} & {*weights_of(stable)}, f"{', '.join(lost)} is to be restored without pods.")
        return
    law(stable == view.plan.declared_http, "Something else than the declared route settles.")
    law(route.parse(http) == live, "It settles before it was live.")
    law(view.checked >= CHECKED, f"It settles after {view.checked} right answers.")


def obey_lease(world: World, view: View, holder: str) -> None:
    """A guard takes the lease only of a release that has been silent."""
    if not view.guard or (world.lease is not None and world.lease.holder == holder):
        return
    silent = world.time - world.renewed
    law(silent >= LEASE_SECONDS, f"The guard takes the lease {silent:.1f} s after it was renewed.")
