"""Where a stack runs: this machine's embedded node, or a cluster that a kubeconfig names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from local.engine.cluster import Cluster, Manifest
from local.engine.config import StackConfig
from local.engine.errors import EngineError
from local.engine.images import Builder
from local.engine.kinds import INSTALL_ORDER
from local.engine.report import Report
from local.engine.steps import STACK_LABEL
from local.home import Home


class Platform:
    """The embedded node of `home`, or, with `kubeconfig`, a cluster that is not started or stopped here."""

    def __init__(self, home: Home, kubeconfig: Path | None = None) -> None:
        self.home = home
        self._kubeconfig = kubeconfig

    @property
    def embedded(self) -> bool:
        """Whether the stack runs on this machine's own node."""
        return self._kubeconfig is None

    @property
    def exists(self) -> bool:
        """Whether there is anything at all that a stack could be on."""
        return not self.embedded or self.home.kubeconfig.exists()

    def start(self, report: Report) -> None:
        """Start the embedded node if it does not run; returns when its API server answers."""
        if self.embedded:
            from local.node.daemon import ensure_running, is_running

            if not is_running(self.home):
                report.step(".", f"starts the embedded platform in {self.home.root}")
            ensure_running(self.home)

    def stop(self, report: Report) -> None:
        """Stop the embedded node; a cluster elsewhere stays as it is."""
        if self.embedded:
            from local.node.daemon import stop

            stop(self.home)
            report.say("Nothing else is on the embedded platform: it has stopped.")

    def cluster(self) -> Cluster:
        """Return a client of the platform's API server."""
        return Cluster(self._kubeconfig or self.home.kubeconfig)

    def cluster_if_running(self) -> Cluster | None:
        """Return a client where an API server runs already, None where it would have to be started."""
        if self.embedded:
            from local.node.daemon import is_running

            if not self.exists or not is_running(self.home):
                return None
        return self.cluster()

    def running_cluster(self) -> Cluster:
        """Return a client of a platform that runs; raises EngineError where none does."""
        cluster = self.cluster_if_running()
        if cluster is None:
            raise EngineError("The embedded platform is not running; `make up` starts it.")
        return cluster

    def scope(self, config: StackConfig) -> str | None:
        """Return the one namespace in which a stack's objects are looked for; None for all of them.

        On a cluster that people share, another person's stack of the same name lies in another namespace.
        """
        return None if self.embedded else config.get("namespace") or None

    def shared(self, stack: str) -> bool:
        """Whether another stack has objects on the platform."""
        cluster = self.cluster()
        selector = f"{STACK_LABEL},{STACK_LABEL}!={stack}"
        return not self.embedded or any(cluster.find(kind, labels=selector) for kind in INSTALL_ORDER)

    def builder(self) -> Builder:
        """Return what builds images where the platform can use them."""
        if self.embedded:
            from local.images import ImageStore

            return ImageStore(self.home)
        return self.registry_builder()

    def registry_builder(self) -> Builder:
        """Return what finds images in their registry, and builds and pushes those that are not there."""
        from local.images.pushed import PushedImages

        return PushedImages()

    def without_effect(self, manifests: Iterable[Manifest]) -> list[str]:
        """Return a sentence for each thing that the embedded node accepts and does not carry out."""
        if not self.embedded:
            return []
        from local.node.supported import without_effect

        said = (sentence for manifest in manifests for sentence in without_effect(manifest))
        return list(dict.fromkeys(said))

    def url(self, declared: str) -> str:
        """Return where the service is reached from here, empty where that is not known."""
        return f"http://127.0.0.1:{self.home.gateway_port}" if self.embedded else declared
