"""The images that the program declares, built or looked up: the platform's own, or those of a registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from local.engine.errors import EngineError
from local.engine.properties import UNKNOWN, has_unknown
from local.engine.report import Report
from local.engine.steps import Action
from local.images.values import ImageBuild


class BuiltImage(Protocol):
    """An image that exists."""

    @property
    def digest(self) -> str:
        """`sha256:<hex>`."""

    def ref(self, tag: str) -> str:
        """Return `tag` pinned to this image."""


class Builder(Protocol):
    """What builds and finds images: `local.images.ImageStore`, or for a cluster elsewhere `PushedImages`."""

    def find(self, build: ImageBuild) -> BuiltImage | None:
        """Return the image that was built from equal inputs, None when there is none."""

    def build(self, build: ImageBuild, *, log: Callable[[str], None]) -> BuiltImage:
        """Build an image; raises ImageError."""

    def resolve(self, ref: str) -> BuiltImage:
        """Return the image of a reference; raises ImageError."""


class Images:
    """Answers the program's `docker-build` images and registry look-ups."""

    def __init__(
        self, builder: Builder, report: Report, *, root: Path, preview: bool, count: Callable[[Action], None]
    ) -> None:
        self._builder = builder
        self._report = report
        self._root = root
        self._preview = preview
        self._count = count

    def image(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return the outputs of a declared image: `digest` and `ref`, unknown in a preview of a build."""
        tags = inputs.get("tags") or []
        if has_unknown(inputs):
            self._tell(Action.CREATE, f"Image {name}: create (its base is built first)")
            return inputs | {"digest": UNKNOWN, "ref": UNKNOWN}
        build = self._build(name, inputs)
        image = self._builder.find(build)
        if image is None and self._preview:
            self._tell(Action.CREATE, f"Image {name}: create ({', '.join(tags)})")
            return inputs | {"digest": UNKNOWN, "ref": UNKNOWN}
        if image is None:
            began = self._report.seconds
            self._report.step(".", f"Image {name}: builds {', '.join(tags)}")
            image = self._builder.build(
                build, log=lambda line: self._report.step(".", f"  {name}: {line.rstrip()}")
            )
            self._tell(
                Action.CREATE, f"Image {name}: built ({self._report.seconds - began:.1f} s), {image.digest}"
            )
        else:
            self._count(Action.UNCHANGED)
        return inputs | {"digest": image.digest, "ref": image.ref(tags[0]) if tags else image.digest}

    def lookup(self, name: str) -> dict[str, Any]:
        """Return the digest that the registry has for `name`; raises ImageError when it has none."""
        digest = self._builder.resolve(name).digest
        return {"id": digest, "name": name, "sha256Digest": digest}

    def _build(self, name: str, inputs: dict[str, Any]) -> ImageBuild:
        context = (self._root / str(inputs.get("context", {}).get("location", "."))).resolve()
        file = inputs.get("dockerfile") or {}
        path = self._root / file["location"] if file.get("location") else context / "Dockerfile"
        ignores = (path.with_name(f"{path.name}.dockerignore"), context / ".dockerignore")
        try:
            text = file["inline"] if file.get("inline") else path.read_text(encoding="utf-8")
            ignored = next((each.read_text(encoding="utf-8") for each in ignores if each.is_file()), "")
        except OSError as error:
            raise EngineError(
                f"Image {name}: its Dockerfile {path} cannot be read: {error.strerror}."
            ) from error
        exports = ",".join(str(each.get("raw") or "") for each in inputs.get("exports") or [])
        return ImageBuild(
            context=context,
            dockerfile=text,
            build_args={key: str(value) for key, value in (inputs.get("buildArgs") or {}).items()},
            tags=tuple(inputs.get("tags") or ()),
            ignored=ignored,
            export=exports.removeprefix("type=registry").lstrip(","),
        )

    def _tell(self, action: Action, text: str) -> None:
        self._count(action)
        self._report.step("+", text)
