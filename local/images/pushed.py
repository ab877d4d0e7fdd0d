"""Images for a cluster elsewhere: looked up in their registry, built here when they are not there, pushed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from local.images.builders import choose
from local.images.errors import ImageError, UnknownImageError
from local.images.manifest import missing
from local.images.references import Reference, base_images
from local.images.registry import Registry
from local.images.values import ImageBuild


@dataclass(frozen=True)
class PushedImage:
    """An image in a registry. `digest` is that of its manifest, `sha256:<hex>`."""

    digest: str

    def ref(self, tag: str) -> str:
        """Return `tag` (`name:tag`) pinned to this image."""
        return f"{tag}@{self.digest}"


class PushedImages:
    """Tags carry a hash of all that goes into an image, so a tag that the registry has is never built again.

    Nothing is pulled to look an image up, and a builder is looked for only when there is something to build.
    """

    def find(self, build: ImageBuild) -> PushedImage | None:
        """Return the pushed image of the build's first tag, None when the registry has none."""
        try:
            return self.resolve(build.tags[0]) if build.tags else None
        except UnknownImageError:
            return None

    def build(self, build: ImageBuild, *, log: Callable[[str], None]) -> PushedImage:
        """Build, push, tell how much of it the registry did not have, and give it its tags last.

        Raises ImageError with the reason, or the builder's last lines; no tag is there then.
        """
        if not build.tags:
            raise ImageError("An image for a cluster needs a tag that names its registry; none is declared.")
        builder = choose()
        bases = base_images(build.dockerfile, build.build_args)
        try:
            manifest = builder.build(build, log=log)
        except ImageError as error:
            if absent := next(filter(_is_absent, bases), None):
                raise ImageError(
                    f"The base image {absent} is not in its registry: "
                    "correct tts:baseImage, or push it there."
                ) from error
            raise
        for tag in map(Reference.parse, build.tags):
            registry = Registry(tag.registry)
            related = {base.repository for base in bases if base.registry == tag.registry}
            pushed = missing(manifest, registry, tag.repository, related - {tag.repository})
            if pushed.size:
                builder.push(build, manifest, tag)
            registry.tag(tag.repository, tag.tag, manifest.content)
            log(str(pushed))
        return PushedImage(manifest.digest)

    def resolve(self, ref: str) -> PushedImage:
        """Ask the registry for the digest of `ref`.

        Raises UnknownImageError when it has no such image, ImageError when it cannot be asked.
        """
        image = Reference.parse(ref)
        digest = Registry(image.registry).digest(image.repository, image.wanted)
        if digest is None:
            raise UnknownImageError(
                f"The registry {image.registry} has no image {ref}. A stack with tts:imageDigest builds "
                "nothing: run `up` of a stack that builds, from this same checkout and to this registry, and "
                "promote the digest that it prints."
            )
        return PushedImage(digest)


def _is_absent(base: Reference) -> bool:
    """Whether it is plain that a build failed for want of what it is built on."""
    try:
        return Registry(base.registry).digest(base.repository, base.wanted) is None
    except ImageError:
        return False
