"""What is served: the model, and the versions that the stack declares."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, Field, ValidationError

from serving.answers import ERRORS
from serving.config import InferenceConfig
from serving.encoding import FORMATS
from serving.engines.base import Alphabet, Engine
from serving.errors import RequestError
from serving.speech import MAX_CHARACTERS, names_of


class ModelCapabilities(BaseModel):
    """What the model can do, beyond speaking a text."""

    cloning: bool
    emotion: bool
    phonemes: bool
    alphabet: Annotated[Alphabet | None, Field(description="of pronunciations, where they can be given")]
    streaming: bool


class Model(BaseModel):
    """A model, in OpenAI's words and with what an application has to know."""

    id: Annotated[str, Field(examples=["hibari"])]
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "tts"
    version: Annotated[str, Field(examples=["1.1.0"])]
    languages: Annotated[list[str], Field(description="codes of ISO 639-1", examples=[["en"]])]
    formats: Annotated[list[str], Field(description="what `response_format` may be")]
    speeds: Annotated[tuple[float, float], Field(description="the lowest and the highest `speed`")]
    capabilities: ModelCapabilities
    max_characters: Annotated[int, Field(description="of one `input`")]


class Version(BaseModel):
    """A version that the stack keeps running; the header `x-tts-version` reaches it."""

    version: Annotated[str, Field(examples=["1.1.0"])]
    revision: Annotated[str, Field(examples=["hibari-1-1-0-3fa9c2"])]
    role: Literal["stable", "canary", "warm"]
    weight: Annotated[int, Field(description="percent of the requests that name no version")]


class Models(BaseModel):
    """A list of models."""

    object: Literal["list"] = "list"
    data: list[Model]


class Versions(BaseModel):
    """A list of versions."""

    object: Literal["list"] = "list"
    data: list[Version]


def install(app: FastAPI, config: InferenceConfig, engine: Callable[[], Engine], versions_file: Path) -> None:
    """Has `app` answer what is served. `engine` raises RequestError while there is none; the file may be
    missing."""

    @app.get("/v1/models", responses=ERRORS)
    async def models() -> Models:
        """The one model of this server."""
        return Models(data=[_model(config, engine())])

    @app.get("/v1/models/{model}", responses=ERRORS)
    async def model(model: str) -> Model:
        """The model, by any of the names that a speech request may give it."""
        names = names_of(config.model)
        if model not in names:
            raise RequestError(
                f"The model {model!r} is not served here; there is: {', '.join(names)}.",
                status=404,
                param="model",
                code="model_not_found",
            )
        return _model(config, engine())

    @app.get("/v1/versions", responses=ERRORS)
    async def versions() -> Versions:
        """The versions that the stack declares; none where it does not say."""
        return Versions(data=read_versions(versions_file))


def read_versions(file: Path) -> list[Version]:
    """What stands in the file; nothing where it is missing or cannot be understood."""
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
        return [Version.model_validate(each) for each in found]
    except (OSError, ValueError, TypeError, ValidationError):
        return []


def _model(config: InferenceConfig, engine: Engine) -> Model:
    can = engine.capabilities
    return Model(
        id=config.model,
        version=config.version,
        languages=list(can.languages),
        formats=list(FORMATS),
        speeds=engine.speeds,
        capabilities=ModelCapabilities(
            cloning=can.cloning is not None,
            emotion=can.emotion,
            phonemes=can.phonemes is not None,
            alphabet=can.phonemes,
            streaming=can.streaming,
        ),
        max_characters=MAX_CHARACTERS,
    )
