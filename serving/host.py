"""The engine's life in this process: its files fetched, itself loading in the background, ready or failed."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from serving.config import InferenceConfig
from serving.engines.base import Engine, load_engine
from serving.errors import RequestError, ServingError


class Fetch(Protocol):
    """What brings the model's files, where the image does not hold them."""

    def run(self) -> None:
        """Returns once the files are in the model folder. Raises ServingError."""

    def state(self) -> dict[str, Any]:
        """How far it is, with its `status`."""

    def __str__(self) -> str:
        """How far it is, for a person."""


class EngineHost:
    """Holds the engine once it has spoken for the first time, and no earlier than the config's load delay,
    and how long that took (`load_seconds`); `failure` says why there will be none."""

    def __init__(self, config: InferenceConfig, model_dir: Path, fetch: Fetch | None = None) -> None:
        self._config = config
        self._model_dir = model_dir
        self._fetch = fetch
        self._fetching = fetch is not None
        self._began = time.monotonic()
        self._done = threading.Event()
        self._on_failure: Callable[[], None] | None = None
        self.engine: Engine | None = None
        self.load_seconds: float | None = None
        self.failure: ServingError | None = None

    def state(self) -> dict[str, Any]:
        """What keeps the engine from being ready, as /readyz says it."""
        if self._fetch is not None and self._fetching:
            return self._fetch.state()
        return {"status": "loading", "seconds": round(self._seconds, 2)}

    def loaded(self) -> Engine:
        """The engine. Raises RequestError (503) while there is none."""
        if self.engine is None:
            raise RequestError(
                "The model is still loading; try again in a moment.",
                status=503,
                code="loading",
                headers={"retry-after": "1"},
            )
        return self.engine

    def told_to_end(self) -> str:
        """The sentence for a server that is ended before it is ready."""
        if self._fetch is not None and self._fetching:
            return (
                f"The server was told to end while it fetched its model files: {self._fetch}. What came "
                "stays in the cache of the node."
            )
        return (
            f"The server was told to end after {self._seconds:.0f} s of loading, before it was ready. If its "
            "startup probe ended it, load.budgetSeconds of its catalog entry was over: mend the load, or "
            "raise the budget."
        )

    @property
    def _seconds(self) -> float:
        """Seconds since the loading began."""
        return time.monotonic() - self._began

    def start(self) -> None:
        """Begins to fetch and to load, in a thread that never keeps the process alive."""
        threading.Thread(target=self._load, name="engine-load", daemon=True).start()

    def call_on_failure(self, callback: Callable[[], None]) -> None:
        """Has `callback` called once loading has failed, at once if that is so already."""
        self._on_failure = callback
        if self._done.is_set() and self.failure is not None:
            callback()

    def _load(self) -> None:
        try:
            if self._fetch is not None:
                self._fetch.run()
                self._fetching, self._began = False, time.monotonic()
            engine = load_engine(self._config, self._model_dir)
            time.sleep(max(0.0, self._config.load_delay - self._seconds))
            self.load_seconds = self._seconds
            self.engine = engine
        except ServingError as error:
            self.failure = error
        self._done.set()
        if self.failure is not None and self._on_failure is not None:
            self._on_failure()
