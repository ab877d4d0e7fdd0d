"""The process around the application: the port, the signals, the drain."""

import signal
import time
from types import FrameType

import uvicorn

from serving.app import create_app
from serving.config import ServerConfig
from serving.edge import Activity
from serving.host import EngineHost


class Server(uvicorn.Server):
    """Drains on SIGTERM: what comes is answered until nothing is under way, then the port is closed.

    uvicorn's own handler closes idle connections at once, into which a proxy may just be sending.
    """

    def __init__(self, config: uvicorn.Config, activity: Activity) -> None:
        super().__init__(config)
        self._activity = activity

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins the drain, a second one closes the port, a further Ctrl-C cuts all."""
        del frame
        if self._activity.draining:
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True
        self._activity.drain(time.monotonic())

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second; True ends the serving."""
        return await super().on_tick(counter) or self._activity.settled(time.monotonic())


def serve(config: ServerConfig, host: EngineHost) -> None:
    """Serves until a signal or a failed load ends it. Exits 1 when the port cannot be opened."""
    activity = Activity()
    settings = uvicorn.Config(
        create_app(config.inference, host, activity),
        host=config.bind,
        port=config.port,
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=75,  # longer than a proxy keeps an idle connection, so that the proxy closes it
    )
    server = Server(settings, activity)

    def stop() -> None:
        server.should_exit = True

    host.call_on_failure(stop)
    server.run()
