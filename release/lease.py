"""One writer of the route at a time: the newest release, and of one release its newest pod."""

from __future__ import annotations

import contextlib

from .cluster import Clock, Cluster, Lease, Order
from .errors import ClusterError, ConflictError, LeaseLostError, SupersededError

TRIES = 10
RENEW_SECONDS = 5.0
LEASE_SECONDS = 20
"""After so long without a renewal the holder counts as dead, and its guard may restore."""


class Tenure:
    """This run's hold of the lease.

    The lease alone does not stop an older run's write that is already on its way; the route's resourceVersion
    does, because whoever takes the lease writes the route before anything else, and whoever reads the route
    checks the lease after that and before the next write.
    """

    def __init__(
        self, cluster: Cluster, clock: Clock, *, release: str, run: str, silent: Lease | None = None
    ) -> None:
        """A guard takes the lease in the place of its release's dead Job, which may be gone: `silent` is that
        lease, and only while it is not renewed may it be taken."""
        self._cluster = cluster
        self._clock = clock
        self._release = release
        self._silent = silent
        self._order: Order | None = None
        self._renewed = 0.0
        self.holder = f"{release}/{run}"
        self.taken = False

    def take(self) -> str:
        """Takes the lease and returns who held it before (empty for nobody). Raises SupersededError."""
        order = self._cluster.job_order() if self._silent is None else self._silent.order
        for _ in range(TRIES):
            self._clock.check()
            lease = self._cluster.read_lease()
            self._check_silence(lease)
            self._order = order
            if lease is not None and lease.order > order:
                raise self._superseded(lease)
            try:
                version = lease.resource_version if lease else None
                self._cluster.write_lease(self.holder, order, resource_version=version)
            except ConflictError:
                continue
            self.taken = True
            self._renewed = self._clock.now()
            return release_of(lease.holder) if lease else ""
        raise ClusterError(f"The lease changed hands {TRIES} times while {self._release} tried to take it.")

    def _check_silence(self, lease: Lease | None) -> None:
        """A guard goes on only while the lease is as it was left, or its own."""
        if self._silent is None or (lease is not None and lease.holder == self.holder):
            return
        if lease is None or release_of(lease.holder) != self._release:
            raise SupersededError(f"The lease is not {self._release}'s any more.")
        if lease.resource_version != self._silent.resource_version:
            raise LeaseLostError(f"{self._release} renews its lease again and goes on.")

    def beat(self) -> None:
        """Renews the lease when that is due; called often. Raises as `check` does."""
        self._clock.check()
        if not self.taken or self._clock.now() - self._renewed < RENEW_SECONDS:
            return
        lease = self._held()
        assert self._order is not None
        with contextlib.suppress(ConflictError):  # the next check says who has it now
            self._cluster.write_lease(self.holder, self._order, resource_version=lease.resource_version)
        self._renewed = self._clock.now()

    def check(self) -> None:
        """Returns while this run holds the lease. Raises SupersededError or LeaseLostError."""
        self._held()

    def _held(self) -> Lease:
        lease = self._cluster.read_lease()
        if lease is None:
            raise ClusterError(
                f"The lease that {self._release} held was deleted; a new start will take it again."
            )
        if lease.holder == self.holder:
            return lease
        if release_of(lease.holder) == self._release:
            raise LeaseLostError(f"Another pod of {self._release} goes on with this release.")
        raise self._superseded(lease)

    def _superseded(self, lease: Lease) -> SupersededError:
        return SupersededError(
            f"The newer release {release_of(lease.holder)} has taken over from {self._release}."
        )


def release_of(holder: str) -> str:
    """The release of a holder `<release>/<run>`."""
    return holder.split("/", 1)[0]
