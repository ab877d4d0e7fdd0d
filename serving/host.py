"""The engine's life in this process: loading in the background, then ready, or failed."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from serving.config import InferenceConfig
from serving.engines.base import Engine, load_engine
from serving.errors import EngineError


class EngineHost:
    """Holds the engine once it has spoken for the first time; `failure` says why there will be none."""

    def __init__(self, config: InferenceConfig, model_dir: Path) -> None:
        self._config = config
        self._model_dir = model_dir
        self._began = time.monotonic()
        self._done = threading.Event()
        self._on_failure: Callable[[], None] | None = None
        self.engine: Engine | None = None
        self.failure: EngineError | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the loading began."""
        return time.monotonic() - self._began

    def start(self) -> None:
        """Begins to load, in a thread that never keeps the process alive."""
        threading.Thread(target=self._load, name="engine-load", daemon=True).start()

    def call_on_failure(self, callback: Callable[[], None]) -> None:
        """Has `callback` called once loading has failed, at once if that is so already."""
        self._on_failure = callback
        if self._done.is_set() and self.failure is not None:
            callback()

    def _load(self) -> None:
        try:
            self.engine = load_engine(self._config, self._model_dir)
        except EngineError as error:
            self.failure = error
        self._done.set()
        if self.failure is not None and self._on_failure is not None:
            self._on_failure()
