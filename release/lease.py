"""One writer of the route at a time: the newest release, and of one release its newest pod."""

from __future__ import annotations

from .cluster import Clock, Cluster, Lease
from .errors import ClusterError, ConflictError, LeaseLostError, SupersededError

TRIES = 10


class Tenure:
    """This run's hold of the lease.

    The lease alone does not stop an older run's write that is already on its way; the route's resourceVersion
    does, because whoever takes the lease writes the route before anything else, and whoever reads the route
    checks the lease after that and before the next write.
    """

    def __init__(self, cluster: Cluster, clock: Clock, *, release: str, run: str) -> None:
        self._cluster = cluster
        self._clock = clock
        self._release = release
        self.holder = f"{release}/{run}"
        self.taken = False

    def take(self) -> str:
        """Takes the lease and returns who held it before (empty for nobody). Raises SupersededError."""
        order = self._cluster.job_order()
        for _ in range(TRIES):
            self._clock.check()
            lease = self._cluster.read_lease()
            if lease is not None and lease.order > order:
                raise self._superseded(lease)
            try:
                version = lease.resource_version if lease else None
                self._cluster.write_lease(self.holder, order, resource_version=version)
            except ConflictError:
                continue
            self.taken = True
            return _release_of(lease) if lease else ""
        raise ClusterError(f"The lease changed hands {TRIES} times while {self._release} tried to take it.")

    def check(self) -> None:
        """Returns while this run holds the lease. Raises SupersededError or LeaseLostError."""
        lease = self._cluster.read_lease()
        if lease is None:
            raise ClusterError(
                f"The lease that {self._release} held was deleted; a new start will take it again."
            )
        if lease.holder == self.holder:
            return
        if _release_of(lease) == self._release:
            raise LeaseLostError(f"Another pod of {self._release} goes on with this release.")
        raise self._superseded(lease)

    def _superseded(self, lease: Lease) -> SupersededError:
        return SupersededError(f"The newer release {_release_of(lease)} has taken over from {self._release}.")


def _release_of(lease: Lease) -> str:
    return lease.holder.split("/", 1)[0]
