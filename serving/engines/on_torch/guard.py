"""What a GPU can do to a request: have no memory left for it, or be lost."""

from __future__ import annotations

import gc
import logging
import os
import signal
import traceback
from collections.abc import Callable, Generator
from typing import TypeVar

import torch

from serving.errors import ExhaustedError

T = TypeVar("T")

_log = logging.getLogger("serving.engine")


def guarded(chunks: Generator[T, None, None], release: Callable[[], None]) -> Generator[T, None, None]:
    """What `chunks` yields, until the memory does not suffice.

    Then `release` frees what can be made again, and ExhaustedError is raised: the next request finds a model
    that can speak. A GPU whose context is lost fails every request from then on, so the process is told to
    end: it answers what is under way, and Kubernetes starts it again.
    """
    try:
        while True:
            exhausted = False
            try:
                chunk = next(chunks, None)
            except torch.OutOfMemoryError as error:
                # Its frames hold the tensors that are in the way.
                traceback.clear_frames(error.__traceback__)
                exhausted = True
            except torch.AcceleratorError:
                _log.critical("The GPU cannot be used any more; the server ends.", exc_info=True)
                os.kill(os.getpid(), signal.SIGTERM)
                raise
            if exhausted:  # out of the handler, which keeps the error alive
                release()
                _free()
                _log.warning("The GPU had no memory for a request, which is answered with 503.")
                raise ExhaustedError("The GPU has no memory left for this request; try again in a moment.")
            if chunk is None:
                return
            yield chunk
    finally:
        chunks.close()


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
