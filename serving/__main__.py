"""`python -m serving`: verifies or fetches the model files, loads the engine, speaks until SIGTERM."""

import contextlib
import os
import sys
from pathlib import Path

from serving import logs
from serving.artifacts import verify
from serving.config import ServerConfig, read_config
from serving.errors import ServingError
from serving.host import EngineHost, Fetch
from serving.keys import Keys


def main() -> int:
    """Runs the server; returns the exit code."""
    logs.begin()
    try:
        config = read_config(os.environ)
        keys = Keys(config.keys_file) if config.keys_file else None
        if config.fetch is None:
            verify(config.inference.artifacts, config.model_dir)
    except ServingError as error:
        return _end(error)
    host = EngineHost(config.inference, config.model_dir, _fetch(config))
    # Importing the web framework takes as long as loading the engine: the two go side by side.
    host.start()
    from serving.server import serve

    serve(config, host, keys)
    if host.failure is not None:
        return _end(host.failure)
    if host.engine is None:
        _leave_word(host.told_to_end())
    return 0


def _fetch(config: ServerConfig) -> Fetch | None:
    """What fetches the model files; nothing of it is loaded where the image holds them."""
    if config.fetch is None:
        return None
    from serving.storage.fetch import Fetch as FetchToCache

    return FetchToCache(config.fetch, config.inference.artifacts, config.model_dir)


def _end(error: ServingError) -> int:
    _leave_word(str(error))
    return error.exit_code


def _leave_word(sentence: str) -> None:
    """Says why the server ends, on stderr and in the pod's termination message."""
    print(sentence, file=sys.stderr)
    log = Path(os.environ.get("TTS_TERMINATION_LOG", "/dev/termination-log"))
    with contextlib.suppress(OSError):  # outside a pod there is none
        log.write_text(f"{sentence}\n", encoding="utf-8")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: tearing down the interpreter under a thread that is inside the engine can crash.
    os._exit(code)
