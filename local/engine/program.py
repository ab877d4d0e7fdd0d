"""Running the stack's real `__main__.py` under Pulumi's own SDK."""

from __future__ import annotations

import asyncio
import contextvars
import runpy
import signal
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import pulumi
from pulumi.runtime import set_all_config
from pulumi.runtime.settings import reset_options
from pulumi.runtime.stack import run_in_stack

from local.engine.config import StackConfig
from local.engine.errors import EngineError, ProgramError
from local.engine.monitor import EngineLog, Monitor

# A registration that waits holds a thread; the SDK's default pool of a few would hold back others.
_THREADS = 64


def run_program(
    root: Path, *, stack: str, config: StackConfig, monitor: Monitor, log: EngineLog, preview: bool
) -> None:
    """Run `root/__main__.py` to its end, with all that it registers.

    Raises:
        LocalError: the first failure of a step, or the program's own error in its own words.
        KeyboardInterrupt: a person stopped it; steps under way have been told to stop.
    """

    def inside() -> None:
        reset_options(
            project=config.project,
            stack=stack,
            root_directory=str(root),
            # The SDK takes an object with the stub's methods in place of an address.
            monitor_address=monitor,  # type: ignore[arg-type]
            engine_address=log,  # type: ignore[arg-type]
            preview=preview,
            organization="organization",
        )
        set_all_config(dict(config.values))
        _run(root / "__main__.py", monitor.stop)

    sys.path.insert(0, str(root))
    try:
        contextvars.copy_context().run(inside)
    except Exception as error:
        if monitor.failures:
            raise monitor.failures[0] from None
        raise _in_own_words(error, root) from error
    finally:
        sys.path.remove(str(root))


def _run(path: Path, stop: Callable[[], None]) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="register")
    loop.set_default_executor(threads)
    # Dependents of a failed step fail with it; its cause is reported once, by the monitor.
    loop.set_exception_handler(lambda *_: None)
    before = {number: signal.signal(number, _stopping(stop)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        loop.run_until_complete(run_in_stack(lambda: _execute(path)))
    except BaseException:
        stop()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        threads.shutdown(wait=True)
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()


def _stopping(stop: Callable[[], None]) -> Callable[[int, FrameType | None], None]:
    """Return a signal handler that ends all waiting first: the SDK waits for what has begun."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        stop()
        raise KeyboardInterrupt

    return handler


def _execute(path: Path) -> None:
    runpy.run_path(str(path), run_name="__main__")


def _in_own_words(error: Exception, root: Path) -> EngineError:
    """Return the program's error as a person should read it: a RunError as it is, others with their place."""
    if isinstance(error, EngineError):
        return error
    if isinstance(error, pulumi.RunError):
        return ProgramError(str(error))
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if _own(Path(frame.filename), root)
    ]
    place = f" at {Path(frames[-1].filename).relative_to(root)}:{frames[-1].lineno}" if frames else ""
    return ProgramError(f"The program failed{place}: {type(error).__name__}: {error}")


def _own(path: Path, root: Path) -> bool:
    inside = path.is_relative_to(root) and not path.is_relative_to(root / ".venv")
    return inside and not path.is_relative_to(root / "local" / "engine")
