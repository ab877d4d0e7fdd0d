"""Moving the missing parts of files: several at a time, each as often as its connection is cut."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from serving.artifacts import Artifact
from serving.errors import ArtifactError, StorageError
from serving.storage.bucket import Bucket
from serving.storage.cache import Filling
from serving.storage.config import Endpoint, place_of
from serving.storage.progress import Progress

TELL_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # seconds between two tries of a connection that was cut
_log = logging.getLogger("serving.fetch")


class Clock:
    """The seconds that a fetch may take in all."""

    def __init__(self, seconds: float, progress: Progress) -> None:
        self._seconds, self._progress = seconds, progress
        self._end = time.monotonic() + seconds
        self.last_cut: StorageError | None = None

    def check(self, ahead: float = 0.0) -> None:
        """Raises ArtifactError when the time is over, or would be in `ahead` seconds."""
        if time.monotonic() + ahead >= self._end:
            cause = f" The last cut: {self.last_cut}" if self.last_cut else ""
            raise ArtifactError(
                f"The model files could not be fetched within {self._seconds:g} s: {self._progress}.{cause}"
                " tts:timeouts.pullSeconds sets the time."
            )


class Transfer:
    """Moves files from the buckets of one endpoint."""

    def __init__(self, endpoint: Endpoint, parallel: int, clock: Clock, progress: Progress) -> None:
        self._endpoint, self._parallel = endpoint, parallel
        self._clock, self._progress = clock, progress
        self._buckets: dict[str, Bucket] = {}
        self._stop = threading.Event()

    def run(self, fillings: Sequence[Filling]) -> None:
        """Fills and publishes every file. Raises ArtifactError or StorageError at the first that fails."""
        for filling in fillings:
            self._bucket(filling.artifact)  # made here, so that threads only look them up
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="fetch") as pool:
            while fillings:
                spans = [(filling, *span) for filling in fillings for span in filling.missing()]
                self._watch([pool.submit(self._move, *span) for span in spans])
                right = pool.map(self._publish, fillings)
                fillings = [each for each, done in zip(fillings, right, strict=True) if not done]

    def _watch(self, parts: Sequence[Future[None]]) -> None:
        """Waits for all, or for the first that fails, and says how far it is every few seconds."""
        left = set(parts)
        try:
            while left:
                done, left = wait(left, timeout=TELL_SECONDS, return_when=FIRST_EXCEPTION)
                for part in done:
                    part.result()
                if left:
                    _log.info("Fetching: %s.", self._progress)
        except BaseException:
            self._stop.set()
            for part in left:
                part.cancel()
            raise

    def _publish(self, filling: Filling) -> bool:
        """Whether the file is right; one of which parts were there already gets a second chance."""
        resumed = filling.resumed
        try:
            filling.publish()
        except ArtifactError as error:
            if not resumed:
                url = filling.artifact.source
                raise ArtifactError(
                    f"{url} holds another content than the catalog entry names. {error}"
                ) from error
            _log.warning("The parts of %s were not right: it is fetched again.", filling.artifact.path)
            self._progress.again(filling.artifact.size)
            return False
        return True

    def _move(self, filling: Filling, start: int, end: int) -> None:
        """One part. Between two tries it waits longer and longer, unless something came."""
        at, pause = start, _FIRST_PAUSE
        while at < end:
            came = at
            try:
                at = self._read(filling, at, end)
            except _CutError as cut:
                at = cut.at
                pause = _FIRST_PAUSE if at > came else min(pause * 2, _LONGEST_PAUSE)
                self._clock.last_cut = cut.cause
                self._progress.cut()
                _log.warning("%s Going on in %.1f s.", cut.cause, pause)
                self._clock.check(ahead=pause)
                self._stop.wait(pause)
            if self._stop.is_set():
                return
        filling.complete(start)

    def _read(self, filling: Filling, at: int, end: int) -> int:
        bucket, (_, key) = self._bucket(filling.artifact), place_of(filling.artifact.source)
        try:
            for chunk in bucket.read(key, at, end=end, size=filling.artifact.size):
                filling.write(at, chunk)
                at += len(chunk)
                self._progress.came(len(chunk))
                self._clock.check()
                if self._stop.is_set():
                    break
        except StorageError as error:
            if error.transient:
                raise _CutError(at, error) from error
            raise
        return at

    def _bucket(self, artifact: Artifact) -> Bucket:
        name, _ = place_of(artifact.source)
        if name not in self._buckets:
            self._buckets[name] = Bucket(name, self._endpoint)
        return self._buckets[name]


class _CutError(Exception):
    """A connection was cut; what came before is written."""

    def __init__(self, at: int, cause: StorageError) -> None:
        super().__init__(str(cause))
        self.at, self.cause = at, cause
