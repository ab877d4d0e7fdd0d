"""The programs that build images for a cluster elsewhere: buildah, and BuildKit by `docker buildx`.

Each gives equal digests for equal inputs: files and image have the time that the build argument
SOURCE_DATE_EPOCH says, and nothing tells of the machine or the day.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from local.images.context import ALWAYS_IGNORED
from local.images.errors import ImageError
from local.images.manifest import Manifest
from local.images.process import run
from local.images.references import Reference, base_images
from local.images.registry import Registry, is_plain
from local.images.values import ImageBuild

CHOICE = "TTS_BUILDER"

# Words added to each build, for instance `--network host`.
EXTRA_ARGUMENTS = "TTS_BUILD_ARGS"

_EPOCH = "SOURCE_DATE_EPOCH"

Log = Callable[[str], None]


class Builder(Protocol):
    """Builds first, so that what a push brings can be counted before it."""

    def build(self, build: ImageBuild, *, log: Log) -> Manifest:
        """Build an image and keep it on this machine; raises ImageError."""

    def push(self, build: ImageBuild, manifest: Manifest, target: Reference) -> None:
        """Push what was built to a repository, without a tag; raises ImageError."""


class Buildah:
    """`buildah`, in its chroot isolation, which needs no daemon. BUILDAH_ISOLATION names another.

    It writes what the base is called on this machine into history and annotations: they are left out."""

    def __init__(self) -> None:
        self._own_digest = ""

    def build(self, build: ImageBuild, *, log: Log) -> Manifest:
        """See Builder. Layers of earlier builds are used again."""
        bases = base_images(build.dockerfile, build.build_args)
        with _files(build) as folder:
            words = ["buildah", "bud", "--layers", "--pull-always", "--identity-label=false"]
            words += ["--timestamp", build.build_args.get(_EPOCH, "0")]
            words.append(f"--ignorefile={folder}/Dockerfile.dockerignore")
            if "BUILDAH_ISOLATION" not in os.environ:
                words += ["--isolation", "chroot"]
            if bases and all(is_plain(base.registry) for base in bases):
                words.append("--tls-verify=false")
            _run([*words, "--tag", build.tags[0], *_common(build, folder)], log)
        shown = json.loads(_run(["buildah", "inspect", "--type", "image", build.tags[0]]))
        self._own_digest = shown["FromImageDigest"]
        layers = json.loads(shown["Manifest"])["layers"]
        if any(layer["mediaType"].endswith(("gzip", "zstd")) for layer in layers):
            raise ImageError(
                f"buildah has {build.tags[0]} from a registry and compressed, and cannot push it otherwise; "
                f"forget that copy with `buildah rmi --force {shown['FromImageID']}` and try again."
            )
        return Manifest.plain(json.loads(shown["Config"]), layers)

    def push(self, build: ImageBuild, manifest: Manifest, target: Reference) -> None:
        """See Builder. A target that names a digest keeps buildah from compressing layers on the way; that is
        the digest of its own manifest, which stays without a tag (some kilobytes)."""
        plain = ["--tls-verify=false"] if is_plain(target.registry) else []
        named = f"docker://{target.registry}/{target.repository}@{self._own_digest}"
        _run(["buildah", "push", *plain, build.tags[0], named])
        Registry(target.registry).upload(target.repository, manifest.config_content, manifest.config.digest)


class Buildx:
    """BuildKit 0.13 or newer by `docker buildx`, with the builder that is in use there."""

    def build(self, build: ImageBuild, *, log: Log) -> Manifest:
        """See Builder."""
        with _files(build) as folder:
            layout = folder / "layout"
            self._run(build, folder, f"type=oci,tar=false,dest={layout}", log)
            (image,) = json.loads((layout / "index.json").read_text())["manifests"]
            return Manifest((layout / "blobs" / image["digest"].replace(":", "/")).read_bytes())

    def push(self, build: ImageBuild, _manifest: Manifest, target: Reference) -> None:
        """See Builder. BuildKit has all steps at hand: the second build only pushes, and would be refused
        its tag if anything of it came out otherwise."""
        name = f"{target.registry}/{target.repository}"
        plain = ",registry.insecure=true" if is_plain(target.registry) else ""
        with _files(build) as folder:
            self._run(build, folder, f"type=image,name={name},push=true,push-by-digest=true{plain}")

    def _run(self, build: ImageBuild, folder: Path, output: str, log: Log | None = None) -> None:
        words = ["docker", "buildx", "build", "--progress=plain", "--provenance=false"]
        attributes = ",".join([output, *(word for word in build.export.split(",") if word)])
        common = [word for word in _common(build, folder) if log or word != "--no-cache"]
        _run([*words, "--output", attributes, *common], log)


def choose() -> Builder:
    """Return the builder that TTS_BUILDER names, else the first that this machine has.

    Raises ImageError when there is none.
    """
    wanted = os.environ.get(CHOICE, "")
    if wanted not in ("", "docker", "buildah"):
        raise ImageError(f"{CHOICE}={wanted} names no builder; say docker or buildah, or leave it out.")
    if wanted != "buildah" and _has_buildx():
        return Buildx()
    if wanted != "docker" and shutil.which("buildah"):
        return Buildah()
    missing = "neither `docker` with its buildx plugin nor `buildah` is"
    if wanted:
        missing = f"{CHOICE}={wanted}, which is not"
    raise ImageError(
        f"Images for a cluster are built by a program of this machine, and {missing} installed here. "
        "A stack with tts:imageDigest needs none."
    )


def _has_buildx() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0


@contextmanager
def _files(build: ImageBuild) -> Iterator[Path]:
    """A folder with the build's Dockerfile and, where builders look for it, what it leaves out."""
    with tempfile.TemporaryDirectory(prefix="tts-image-") as name:
        folder = Path(name)
        (folder / "Dockerfile").write_text(build.dockerfile, encoding="utf-8")
        ignored = "\n".join([build.ignored, *ALWAYS_IGNORED])
        (folder / "Dockerfile.dockerignore").write_text(ignored, encoding="utf-8")
        yield folder


def _common(build: ImageBuild, folder: Path) -> list[str]:
    words = shlex.split(os.environ.get(EXTRA_ARGUMENTS, ""))
    for key, value in sorted(build.build_args.items()):
        words += ["--build-arg", f"{key}={value}"]
    return [*words, "--file", f"{folder}/Dockerfile", str(build.context)]


def _run(words: list[str], log: Log | None = None) -> str:
    """Run a builder and return what it printed; without `log` its standard output alone."""
    try:
        if log is None:
            return subprocess.run(words, capture_output=True, text=True, check=True).stdout
        run(words, cwd=Path.cwd(), environ=os.environ, log=log)
    except OSError as error:
        raise ImageError(f"`{words[0]}` cannot be run: {error.strerror}.") from error
    except subprocess.CalledProcessError as error:
        said = (error.output or error.stderr or "").strip()
        raise ImageError(f"`{' '.join(words[:2])}` ended with status {error.returncode}:\n{said}") from error
    return ""
