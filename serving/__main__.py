"""`python -m serving`: verifies the model files, opens the port, loads the engine, speaks until SIGTERM."""

import contextlib
import logging
import os
import sys
from pathlib import Path

from serving.artifacts import verify
from serving.config import read_config
from serving.errors import ServingError
from serving.host import EngineHost


def main() -> int:
    """Runs the server; returns the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(name)s %(message)s")
    try:
        config = read_config(os.environ)
        verify(config.inference.artifacts, config.model_dir)
    except ServingError as error:
        return _end(error)
    host = EngineHost(config.inference, config.model_dir)
    # Importing the web framework takes as long as loading the engine: the two go side by side.
    host.start()
    from serving.server import serve

    serve(config, host)
    return 0 if host.failure is None else _end(host.failure)


def _end(error: ServingError) -> int:
    print(error, file=sys.stderr)
    log = Path(os.environ.get("TTS_TERMINATION_LOG", "/dev/termination-log"))
    with contextlib.suppress(OSError):  # outside a pod there is none
        log.write_text(f"{error}\n", encoding="utf-8")
    return error.exit_code


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: tearing down the interpreter under a thread that is inside the engine can crash.
    os._exit(code)
