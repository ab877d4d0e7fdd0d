"""Images for a cluster elsewhere: built and pushed by the local `docker` command."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.images.errors import ImageError, UnknownImageError
from local.images.values import ImageBuild

# Words added to each `docker build`, for instance `--network host`.
EXTRA_ARGUMENTS = "TTS_DOCKER_BUILD_ARGS"


@dataclass(frozen=True)
class PushedImage:
    """An image in a registry. `digest` is that of its manifest, `sha256:<hex>`."""

    digest: str

    def ref(self, tag: str) -> str:
        """Return `tag` (`name:tag`) pinned to this image."""
        return f"{tag}@{self.digest}"


class DockerBuilder:
    """Builds with the `docker` found on the path, against the daemon that DOCKER_HOST names.

    Tags carry a hash of all that goes into an image, so a tag that the registry has is never built again.
    """

    def find(self, build: ImageBuild) -> PushedImage | None:
        """Return the pushed image of the build's first tag, None when the registry has none."""
        try:
            return self.resolve(build.tags[0]) if build.tags else None
        except UnknownImageError:
            return None

    def build(self, build: ImageBuild, *, log: Callable[[str], None]) -> PushedImage:
        """Build, push every tag, and return the digest that the registry gave.

        Raises ImageError with Docker's last lines.
        """
        if not build.tags:
            raise ImageError("An image for a cluster needs a tag that names its registry; none is declared.")
        words = ["docker", "build", *shlex.split(os.environ.get(EXTRA_ARGUMENTS, ""))]
        for key, value in sorted(build.build_args.items()):
            words += ["--build-arg", f"{key}={value}"]
        for tag in build.tags:
            words += ["--tag", tag]
        with tempfile.TemporaryDirectory() as folder:
            dockerfile = Path(folder) / "Dockerfile"
            dockerfile.write_text(build.dockerfile)
            _run([*words, "--file", str(dockerfile), str(build.context)], log)
        for tag in build.tags:
            _run(["docker", "push", "--quiet", tag], log)
        return self.resolve(build.tags[0])

    def resolve(self, ref: str) -> PushedImage:
        """Ask the registry, by pulling nothing but what is missing, for the digest of `ref`.

        Raises UnknownImageError when the registry has no such image, ImageError when Docker cannot be asked.
        """
        if "@sha256:" in ref:
            return PushedImage(ref.partition("@")[2])
        pulled = _docker(["docker", "pull", "--quiet", ref])
        if pulled.returncode != 0:
            said = pulled.stderr.strip()
            if any(words in said for words in ("not found", "manifest unknown", "does not exist")):
                raise UnknownImageError(f"The registry has no image {ref}.")
            raise ImageError(f"Docker cannot look up {ref}: {said}")
        shown = _docker(["docker", "image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', ref])
        name = ref.rpartition(":")[0] if ":" in ref.rpartition("/")[2] else ref
        for line in shown.stdout.split():
            repository, _, digest = line.partition("@")
            if repository == name:
                return PushedImage(digest)
        raise ImageError(
            f"Docker tells no digest of {ref} in its registry: {shown.stderr.strip() or shown.stdout!r}"
        )


def _docker(words: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ImageError(
            "The command `docker` is not installed; it builds the images for a cluster."
        ) from error


def _run(words: list[str], log: Callable[[str], None]) -> None:
    """Run Docker, hand each line on as it comes, and raise ImageError with the last ones when it fails."""
    last: list[str] = []
    try:
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if not line.strip():
                    continue
                log(line.rstrip())
                last = [*last[-19:], line.rstrip()]
    except FileNotFoundError as error:
        raise ImageError(
            "The command `docker` is not installed; it builds the images for a cluster."
        ) from error
    if process.returncode != 0:
        raise ImageError("\n".join([f"`docker {words[1]}` ended with status {process.returncode}:", *last]))
