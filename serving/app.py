"""The server's API and page."""

from typing import Any

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Scope

from serving import answers, document, feedback, listing, speaking
from serving.bodies import TEXT, Bodies, BodyLimit
from serving.callers import Callers, Locked
from serving.edge import Edge
from serving.measured import Measured
from serving.metrics import SPEECH_PATH
from serving.openapi import describe
from serving.parts import Parts
from serving.voices import api as voices
from serving.voices.form import UPLOAD
from serving.voices.recordings import WITH_RECORDING


def create_app(parts: Parts) -> ASGIApp:
    """The whole application for one revision."""
    config = parts.config
    headers = {"x-tts-version": config.version, "x-tts-revision": config.revision}
    measured = Measured(Locked(create_api(parts)), parts.metrics, config.revision, log_texts=config.log_texts)
    bodies = Bodies(lambda scope: _limit(scope, parts))
    return Edge(Callers(measured, parts.keys), parts.activity, headers, bodies)


def create_api(parts: Parts) -> FastAPI:
    """What answers, and describes itself, without what stands around it."""
    config = parts.config
    app = FastAPI(title=f"{config.model} speech", version=config.version, docs_url=None, redoc_url=None)
    answers.install(app)
    speaking.install(app, parts)
    feedback.install(app, parts)
    listing.install(app, config, parts.host.loaded, parts.versions_file)
    voices.install(app, parts)
    _add_state(app, parts)
    document.install(app)
    describe(app, keyed=parts.keys is not None)
    return app


def _limit(scope: Scope, parts: Parts) -> BodyLimit:
    """How large a request may be: recordings are read only where the model takes voices from them."""
    engine = parts.host.engine
    if engine is None or engine.capabilities.cloning is None:
        return TEXT
    return {SPEECH_PATH: WITH_RECORDING, voices.PATH: UPLOAD}.get(scope["path"], TEXT)


def _add_state(app: FastAPI, parts: Parts) -> None:
    config, host = parts.config, parts.host
    parts.metrics.watch_load(lambda: host.load_seconds)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        """200 from the moment the port is open."""
        return {"status": "alive"}

    @app.get("/readyz", responses={503: {"description": "It loads or drains, and says so."}})
    async def readyz() -> Response:
        """200 once the loaded model has spoken, until the server drains."""
        if parts.activity.draining:
            return JSONResponse({"status": "draining"}, 503)
        if host.engine is None:
            return JSONResponse(host.state(), 503)
        return JSONResponse({"status": "ready"})

    @app.get("/version")
    async def version() -> dict[str, Any]:
        """What is served here."""
        return {
            "model": config.model,
            "version": config.version,
            "revision": config.revision,
            "engine": config.engine,
            "sampleRate": config.sample_rate,
        }

    @app.get("/metrics", include_in_schema=False)
    async def exposition() -> Response:
        return Response(parts.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
