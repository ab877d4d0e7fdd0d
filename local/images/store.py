"""The images of one home: found by their inputs, built when they are not there, resolved by reference."""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from local.home import Home
from local.images import tree
from local.images.builder import Builder, record_digest
from local.images.environment import Environments
from local.images.errors import ImageError, UnknownImageError
from local.images.plan import make_plan
from local.images.values import Image, ImageBuild, ImageConfig

_DIGEST = re.compile(r".+@(sha256:[0-9a-f]{64})")


class ImageStore:
    """Images below `<home>/images/`; `index.json` there maps inputs and tags to digests."""

    def __init__(self, home: Home) -> None:
        self._folder = home.images
        self._index = home.images / "index.json"
        self._environments = Environments(home.environments)

    def find(self, build: ImageBuild) -> Image | None:
        """Return the image built from equal inputs and known by all of the build's tags, or None.

        Raises:
            ImageError: the Dockerfile or the context holds a mistake.
        """
        try:
            image = self._built(make_plan(build, self.resolve).key)
        except UnknownImageError:
            return None
        tags = self._read_index()["tags"]
        known = image is not None and all(tags.get(tag) == image.digest for tag in build.tags)
        return image if known else None

    def build(self, build: ImageBuild, *, log: Callable[[str], None]) -> Image:
        """Return the image of a build, building it unless equal inputs were built before, and tag it.

        One build runs at a time in a home. `log` is given a line at a time.

        Raises:
            ImageError: a step cannot be carried out or failed; nothing of the attempt is left.
        """
        with self._one_at_a_time(log):
            plan = make_plan(build, self.resolve)
            image = self._built(plan.key)
            if image is None:
                with tempfile.TemporaryDirectory(prefix=".build-", dir=self._folder) as folder:
                    builder = Builder(build, folder=Path(folder), environments=self._environments, log=log)
                    image = self._keep(*builder.build(plan), aside=Path(folder) / "damaged")
            # Only what was true before and after is recorded: a file edited meanwhile is built again.
            unchanged = make_plan(build, self.resolve).key == plan.key
            self._record(image.digest, key=plan.key if unchanged else None, tags=build.tags)
            return image

    def resolve(self, ref: str) -> Image:
        """Return the image that `name:tag`, `name@sha256:...` or `name:tag@sha256:...` names.

        Raises:
            UnknownImageError: there is none, or its folder was changed or removed.
        """
        match = _DIGEST.fullmatch(ref)
        digest = match[1] if match else self._read_index()["tags"].get(ref)
        if digest is None:
            raise UnknownImageError(f"No image {ref!r} was built on this machine; run `up`, which builds it.")
        image = self._load(digest)
        if image is None:
            raise UnknownImageError(
                f"The image {ref!r} is missing or was changed in {self._folder_of(digest)}; "
                "run `up`, which builds it again."
            )
        return image

    def _built(self, key: str) -> Image | None:
        digest = self._read_index()["builds"].get(key)
        return self._load(digest) if digest else None

    def _folder_of(self, digest: str) -> Path:
        return self._folder / digest.removeprefix("sha256:")

    def _load(self, digest: str) -> Image | None:
        """Return an image if its folder is what the digest says; contents are judged by size and time."""
        folder = self._folder_of(digest)
        try:
            record: dict[str, Any] = json.loads((folder / "image.json").read_text(encoding="utf-8"))
            intact = (
                record_digest(record) == digest and tree.changed(folder / "rootfs", record["files"]) is None
            )
            environment = self._environments.find(record["environment"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if not intact or environment is None:
            return None
        config = ImageConfig(
            env=record["env"],
            workdir=record["workdir"],
            entrypoint=tuple(record["entrypoint"]),
            cmd=tuple(record["cmd"]),
            python=str(environment.python),
            labels=record["labels"],
            user=record["user"],
        )
        return Image(digest, folder, config)

    def _keep(self, digest: str, finished: Path, *, aside: Path) -> Image:
        """Move a finished folder to its place, unless an intact equal one is there."""
        target = self._folder_of(digest)
        if self._load(digest) is None:
            if target.exists():
                target.rename(aside)
            finished.rename(target)
        image = self._load(digest)
        if image is None:
            raise ImageError(f"The image {digest} was changed while it was built; build it again.")
        return image

    def _read_index(self) -> dict[str, dict[str, str]]:
        try:
            index = json.loads(self._index.read_text(encoding="utf-8"))
            return {"tags": dict(index["tags"]), "builds": dict(index["builds"])}
        except (OSError, ValueError, KeyError, TypeError):
            # Without an index everything is built again, into the same digests.
            return {"tags": {}, "builds": {}}

    def _record(self, digest: str, *, key: str | None, tags: tuple[str, ...]) -> None:
        index = self._read_index()
        index["tags"].update(dict.fromkeys(tags, digest))
        if key is not None:
            index["builds"][key] = digest
        temporary = self._index.with_suffix(".tmp")
        temporary.write_text(json.dumps(index, indent=1, sort_keys=True), encoding="utf-8")
        temporary.replace(self._index)

    @contextlib.contextmanager
    def _one_at_a_time(self, log: Callable[[str], None]) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log("Waiting for another build on this machine")
                fcntl.flock(lock, fcntl.LOCK_EX)
            for folder in (self._folder, self._environments.folder):
                for leftover in folder.glob(".build-*"):
                    shutil.rmtree(leftover, ignore_errors=True)
            yield
