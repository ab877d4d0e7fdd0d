"""Everything the release raises on purpose. Each message is one whole sentence or several."""

from __future__ import annotations


class ReleaseError(Exception):
    """The root of the release's errors."""


class PlanError(ReleaseError):
    """plan.json cannot be carried out: it names every property that is wrong."""


class ClusterError(ReleaseError):
    """The Kubernetes API did not do what was asked. Kubernetes starts the Job's pod again."""


class ConflictError(ClusterError):
    """The object was changed, made or deleted since it was read."""


class RejectedError(ClusterError):
    """The API server, or an admission webhook, finds what was written invalid: repeating it changes
    nothing."""


class RouteMovedError(ReleaseError):
    """Someone else changed the route's destinations while the release was under way."""


class RefusedError(ReleaseError):
    """The verdict: the candidate may not go on. `sentences` says why."""

    def __init__(self, *sentences: str) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


class SupersededError(ReleaseError):
    """A newer release holds the lease; this one touches nothing any more."""


class LeaseLostError(ReleaseError):
    """Another pod of the same Job holds the lease; this one touches nothing any more."""


class TerminatedError(ReleaseError):
    """SIGTERM arrived."""


class AudioError(ReleaseError):
    """The bytes are not a WAV file this project understands."""
