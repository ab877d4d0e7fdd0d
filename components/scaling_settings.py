"""How the number of pods follows the traffic, where it does."""

from collections.abc import Iterable
from dataclasses import dataclass

from components.reader import Reader
from components.version_settings import CANARY, WARM, Served


@dataclass(frozen=True)
class Autoscaling:
    """Of every revision: from its replicas up to `max_replicas` pods. `busy_percent`: of a pod's slots that
    are in use, or waited for, on average; a pod goes once fewer have been enough for `down_seconds`."""

    max_replicas: int
    busy_percent: int
    down_seconds: int

    def most(self, served: Served) -> int:
        """Pods that a version takes while another one is released: a canary by its share of the traffic, one
        that is kept warm only its replicas."""
        if served.role == WARM:
            return served.replicas
        if served.role == CANARY and not served.mirrored:
            return max(served.replicas, -(-self.max_replicas * served.weight // 100))
        return self.max_replicas


def read_autoscaling(reader: Reader, served: Iterable[Served]) -> Autoscaling | None:
    """None where the number of pods is fixed."""
    section = reader.section("autoscaling", optional=True)
    if not section.given:
        return None
    autoscaling = Autoscaling(
        max_replicas=section.whole("maxReplicas", low=1, high=1000),
        busy_percent=section.whole("busyPercent", low=10, high=300, default=70),
        down_seconds=section.whole("downSeconds", low=0, high=3600, default=600),
    )
    section.finish()
    for each in served:
        if each.replicas > autoscaling.max_replicas and each.role != WARM:
            key = "canary.replicas" if each.role == CANARY else "replicas"
            section.refuse(
                "maxReplicas",
                f"is {autoscaling.max_replicas}, which is below tts:{key} ({each.replicas}): raise it, or "
                "lower the other.",
            )
    return autoscaling
