"""Whoever changes the number of replicas of a revision, held and let go.

While the weights move, traffic leaves the live revision, and its autoscaler would take its pods away just
when a restoration may need them all; a candidate's would do so before the traffic has come. A held one still
adds pods. Each change is made under its resourceVersion, read before the lease is checked: whoever has taken
the lease since has held it anew, and what is on its way from an older run does not land any more.
"""

from __future__ import annotations

from collections.abc import Callable

from .cluster import Autoscaler, Cluster
from .errors import ClusterError, ConflictError, ReleaseError
from .lease import Tenure

TRIES = 10


def hold(cluster: Cluster, tenure: Tenure) -> bool:
    """Holds the autoscalers of all revisions; returns whether there is one. Raises ClusterError,
    SupersededError, LeaseLostError."""
    return _set(cluster, tenure, tenure.holder)


def free(cluster: Cluster, tenure: Tenure, say: Callable[[str], None]) -> bool:
    """Frees all that anyone holds; returns whether it did. Whatever prevents it is only said: it changes
    nothing of what a release has done, and the next one frees them too."""
    try:
        _set(cluster, tenure, "")
    except ReleaseError as error:
        say(f"The autoscalers take no pods away until the next release: {error}")
        return False
    return True


def _set(cluster: Cluster, tenure: Tenure, holder: str) -> bool:
    for _ in range(TRIES):
        found = cluster.autoscalers()
        others = [each for each in found if each.holder != holder]
        if others:
            tenure.check()
        if all(_changed(cluster, each, holder) for each in others):
            return bool(found)
    raise ClusterError(f"The autoscalers were changed by someone else during each of {TRIES} tries.")


def _changed(cluster: Cluster, found: Autoscaler, holder: str) -> bool:
    try:
        cluster.hold_autoscaler(found.revision, holder, resource_version=found.resource_version)
    except ConflictError:
        return False
    return True
