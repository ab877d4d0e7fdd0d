"""The news of a release: Events, metrics, and the webhook at its end. None of it may hold the release up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from .cluster import Cluster
from .errors import ClusterError

REASONS = {"released": "Released", "refused": "Refused", "terminated": "Terminated", "failed": "Failed"}


class Gauges(Protocol):
    """What is measured of a release while it runs."""

    def phase(self, phase: str) -> None:
        """The phase that begins."""

    def weights(self, weights: Mapping[str, int]) -> None:
        """Percent by revision."""

    def probed(self, revision: str, *, wrong: bool, busy: bool) -> None:
        """One answer to the release's own requests."""

    def dropped(self, total: int) -> None:
        """How many of the guard's requests were dropped so far."""

    def restored(self, seconds: float) -> None:
        """The stable route came back after so many seconds."""

    def outcome(self, outcome: str) -> None:
        """How it ended."""


class Herald:
    """Tells. A failure to tell is a line on the release's own output, never more."""

    def __init__(self, cluster: Cluster, gauges: Gauges, *, webhook: str = "") -> None:
        self._cluster = cluster
        self._gauges = gauges
        self._webhook = webhook

    def tell(self, reason: str, sentence: str, *, warning: bool = False) -> None:
        """One Event."""
        try:
            self._cluster.write_event(reason, sentence, warning=warning)
        except ClusterError as error:
            print(f"The Event {reason} could not be written: {error}", flush=True)

    def phase(self, phase: str) -> None:
        """The phase that begins."""
        self._gauges.phase(phase)

    def probed(self, revision: str, *, wrong: bool, busy: bool) -> None:
        """One answer to the release's own requests."""
        self._gauges.probed(revision, wrong=wrong, busy=busy)

    def dropped(self, total: int) -> None:
        """How many of the guard's requests were dropped so far."""
        self._gauges.dropped(total)

    def weights(self, weights: Mapping[str, int]) -> None:
        """The route gives these percents now."""
        self._gauges.weights(weights)
        shown = ", ".join(f"{weight} % {revision}" for revision, weight in sorted(weights.items()))
        self.tell("WeightsMoved", f"The route gives {shown}.")

    def restored(self, sentence: str, seconds: float) -> None:
        """The stable route is back."""
        self._gauges.restored(seconds)
        self.tell("Restored", f"{sentence} It took {seconds:.2f} s.", warning=True)

    def ended(self, outcome: str, sentences: Sequence[str], receipt: Mapping[str, Any]) -> None:
        """How the release ended, also to the webhook."""
        self._gauges.outcome(outcome)
        self.tell(REASONS.get(outcome, "Ended"), " ".join(sentences)[:1000], warning=outcome != "released")
        if self._webhook:
            from .webhook import message, post

            failure = post(self._webhook, message(outcome, sentences, receipt))
            if failure:
                print(failure, flush=True)
