"""The server's API and page."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from serving import answers
from serving.config import InferenceConfig
from serving.edge import Activity, Edge
from serving.errors import RequestError
from serving.host import EngineHost
from serving.metrics import SPEECH_PATH, Measured, Metrics
from serving.speech import FORMATS, SpeechRequest, check
from serving.synthesis import Synthesiser, chain, first_part

_PAGE = Path(__file__).parent / "page"
_PAGE_POLICY = "default-src 'self'; media-src blob:; base-uri 'none'; frame-ancestors 'none'"


def create_app(config: InferenceConfig, host: EngineHost, activity: Activity) -> ASGIApp:
    """The whole application for one revision."""
    metrics = Metrics(config.version)
    app = FastAPI(title=f"{config.model} speech", version=config.version, docs_url=None, redoc_url=None)
    answers.install(app)
    _add_speech(app, config, host, Synthesiser(config.slots, metrics.audio))
    _add_state(app, config, host, activity, metrics)
    _add_page(app)
    headers = {"x-tts-version": config.version, "x-tts-revision": config.revision}
    return Edge(Measured(app, metrics), activity, headers)


def _add_speech(app: FastAPI, config: InferenceConfig, host: EngineHost, synthesiser: Synthesiser) -> None:
    @app.post(SPEECH_PATH, response_class=StreamingResponse)
    async def speech(body: SpeechRequest, request: Request) -> Response:
        """Speaks a text; the audio is streamed sentence by sentence."""
        engine = host.engine
        if engine is None:
            raise RequestError(
                "The model is still loading; try again in a moment.",
                status=503,
                code="loading",
                headers={"retry-after": "1"},
            )
        utterance = check(body, model=config.model, engine=engine)
        parts = synthesiser.stream(engine, utterance)
        # Whatever can go wrong with a text goes wrong here, before the answer says 200.
        first = await first_part(parts, request.receive)
        if first is None:
            return Response(status_code=499)  # nobody reads it: the client went away
        return StreamingResponse(chain(first, parts), media_type=FORMATS[utterance.format])


def _add_state(
    app: FastAPI, config: InferenceConfig, host: EngineHost, activity: Activity, metrics: Metrics
) -> None:
    @app.get("/livez")
    async def livez() -> dict[str, str]:
        """200 from the moment the port is open."""
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz() -> Response:
        """200 once the loaded model has spoken, until the server drains."""
        if activity.draining:
            return JSONResponse({"status": "draining"}, 503)
        if host.engine is None:
            return JSONResponse({"status": "loading", "seconds": round(host.seconds, 2)}, 503)
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
        return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(_PAGE / "index.html", headers={"content-security-policy": _PAGE_POLICY})

    app.mount("/page", StaticFiles(directory=_PAGE))
