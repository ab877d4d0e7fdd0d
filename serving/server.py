"""The process around the application: the port, the signals, the drain."""

import signal
import time
from types import FrameType

import uvicorn

from serving.app import create_app
from serving.config import ServerConfig
from serving.delivery import wait_until_delivered
from serving.edge import Activity
from serving.host import EngineHost
from serving.keys import Keys
from serving.metrics import Metrics
from serving.parts import Parts
from serving.records import Records
from serving.storage.outputs import Outputs
from serving.storage.store import joined, open_store
from serving.voices.library import Library
from serving.voices.references import References
from serving.voices.voices import Kept, Voices

KEEP_ALIVE_SECONDS = 75
"""Of a connection without a request: longer than the gateway keeps it, so that the gateway closes it."""


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


def serve(config: ServerConfig, host: EngineHost, keys: Keys | None) -> None:
    """Serves until a signal or a failed load ends it; everybody, where there are no `keys`. Exits 1 when the
    port cannot be opened."""
    activity = Activity()
    inference, store = config.inference, config.store
    metrics = Metrics(
        inference.version,
        slots=inference.slots,
        stores=store is not None and store.outputs,
        records=store is not None and store.record_days is not None,
        voices=store is not None and store.voices_per_key is not None,
    )
    outputs, records = _open_outputs(config, metrics), _open_records(config, metrics)
    parts = Parts(
        config=inference,
        host=host,
        activity=activity,
        metrics=metrics,
        outputs=outputs,
        keys=keys,
        records=records,
        voices=Voices(kept=_open_voices(config, host, metrics)),
        versions_file=config.versions_file,
    )
    settings = uvicorn.Config(
        create_app(parts),
        host=config.bind,
        port=config.port,
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    server = Server(settings, activity)

    def stop() -> None:
        server.should_exit = True

    host.call_on_failure(stop)
    server.run()
    if records is not None:
        records.drain()
    if outputs is not None:
        outputs.drain()
    wait_until_delivered(config.bind, config.port)


def _open_outputs(config: ServerConfig, metrics: Metrics) -> Outputs | None:
    """What keeps the answers; a store that is away is no reason not to start."""
    if config.store is None or not config.store.outputs:
        return None
    served = config.inference
    return Outputs(
        open_store(config.store),
        {"model": served.model, "version": served.version, "revision": served.revision},
        metrics.written,
        folder=joined(config.store.prefix, "outputs", served.model, served.version),
        judged=joined(config.store.prefix, "gate", served.model),
    )


def _open_records(config: ServerConfig, metrics: Metrics) -> Records | None:
    """What keeps the records, of all versions of the model in one place."""
    if config.store is None or config.store.record_days is None:
        return None
    records = Records(
        open_store(config.store),
        joined(config.store.prefix, "records", config.inference.model),
        days=config.store.record_days,
        count=metrics.recorded,
        trouble=metrics.store_failed,
    )
    records.expire_now_and_then()
    return records


def _open_voices(config: ServerConfig, host: EngineHost, metrics: Metrics) -> Kept | None:
    """The voices that callers add, of all versions of the model in one place."""
    if config.store is None or config.store.voices_per_key is None:
        return None
    folder = joined(config.store.prefix, "voices", config.inference.model)
    library = Library(open_store(config.store), folder)

    def forget(digest: str) -> None:
        if host.engine is not None:
            host.engine.forget(digest)

    references = References(library, forget)
    references.watch()
    library.sweep_now_and_then()
    return Kept(
        library=library,
        references=references,
        per_key=config.store.voices_per_key,
        failed=metrics.store_failed,
    )
