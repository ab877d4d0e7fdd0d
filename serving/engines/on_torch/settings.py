"""What a catalog entry says to an engine on torch, in its `settings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

S = TypeVar("S", bound="TorchSettings")


class TorchSettings(BaseModel):
    """What all of them take."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    device: Literal["cuda", "cpu"] = "cuda"
    memory_gib: Annotated[float | None, Field(gt=0, alias="memoryGiB")] = None
    """Of the GPU's memory, how much the process may take; None: all of it."""
    threads: Annotated[int | None, Field(ge=1)] = None
    """Of the processor, where the device is one; None: torch's own choice."""
    compile: bool = False
    """Whether the model may be compiled: measured beside the plain one, and kept where it is faster."""
    warm_up_characters: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (12, 120)
    """The lengths of the texts that are spoken before the server is ready: no caller is the first to need a
    kernel or a piece of memory."""


def read_settings(kind: type[S], fields: Mapping[str, Any]) -> S:
    """The settings of a catalog entry. Raises ValueError with the first mistake as a sentence's end."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"settings.{key} of its catalog entry is wrong: {first['msg'].lower()}") from None
