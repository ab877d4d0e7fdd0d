"""Model files from object storage into the cache of the node, and from there into the model folder."""

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serving.artifacts import Artifact
from serving.storage.cache import Cache, told
from serving.storage.config import FetchConfig
from serving.storage.progress import Progress
from serving.storage.transfer import TELL_SECONDS, Clock, Transfer

_LOOK_SECONDS = 0.5
_log = logging.getLogger("serving.fetch")


class Fetch:
    """Fetches the files of a revision. What a process that died had fetched is not fetched again, and what
    another pod is fetching into the same cache is waited for."""

    def __init__(self, config: FetchConfig, artifacts: Sequence[Artifact], model_dir: Path) -> None:
        self._config = config
        self._artifacts = artifacts
        self._model_dir = model_dir
        self._progress = Progress(sum(artifact.size for artifact in artifacts))

    def state(self) -> dict[str, Any]:
        """How far it is, as /readyz says it."""
        return self._progress.state()

    def __str__(self) -> str:
        """How far it is, as the log says it."""
        return str(self._progress)

    def run(self) -> None:
        """Returns once every file is right and lies in the model folder. Raises ArtifactError or
        StorageError, at the latest when the time is over."""
        began = time.monotonic()
        clock = Clock(self._config.seconds, self._progress)
        transfer = Transfer(self._config.endpoint, self._config.parallel, clock, self._progress)
        cache = Cache(self._config.cache_dir)
        pending, told_at = list(self._artifacts), 0.0
        while pending := [artifact for artifact in pending if not self._uses(cache, artifact)]:
            if mine := self._fill(cache, transfer, pending):
                pending = [artifact for artifact in pending if artifact not in mine]
                continue
            clock.check(ahead=_LOOK_SECONDS)
            self._progress.waits(True)
            if time.monotonic() - told_at >= TELL_SECONDS:
                told_at = time.monotonic()
                _log.info("Fetching: %s.", self._progress)
            time.sleep(_LOOK_SECONDS)
        self._link(cache)
        _log.info("The model files are there after %.1f s: %s.", time.monotonic() - began, self._progress)

    def _uses(self, cache: Cache, artifact: Artifact) -> bool:
        if not cache.use(artifact):
            return False
        self._progress.had(artifact.size)
        return True

    def _fill(self, cache: Cache, transfer: Transfer, pending: Sequence[Artifact]) -> list[Artifact]:
        """Fetches what no other pod is fetching, and answers which that was."""
        fillings = [filling for artifact in pending if (filling := cache.fill(artifact))]
        try:
            if fillings:
                missing = sum(end - start for each in fillings for start, end in each.missing())
                self._progress.had(sum(each.artifact.size for each in fillings) - missing)
                self._progress.waits(False)
                cache.make_room(missing, keep=self._artifacts)
                _log.info("Fetching: %s.", self._progress)
                transfer.run(fillings)
        finally:
            for filling in fillings:
                filling.close()
        return [filling.artifact for filling in fillings]

    def _link(self, cache: Cache) -> None:
        """Names the cached files as the engine looks for them."""
        with told(self._model_dir):
            for artifact in self._artifacts:
                name = self._model_dir / artifact.path
                name.parent.mkdir(parents=True, exist_ok=True)
                name.unlink(missing_ok=True)
                os.symlink(cache.file(artifact), name)  # noqa: PTH211
