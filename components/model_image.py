"""The images of model versions: a frozen server base an engine, and one layer for each model file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker_build as docker_build

from components.aws_settings import BUILD_CACHE
from components.revision import Revision, Revisions, build_args
from components.settings import Settings

_EPOCH = {"SOURCE_DATE_EPOCH": "0"}
_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")
"""The time of an image and of every file in it, so that equal inputs give equal digests."""

_BASE_EXPORT = "type=registry,oci-mediatypes=true,rewrite-timestamp=true"
"""What `push` stands for, and the fixed times with it. BuildKit before 0.13 ignores the latter."""

_MODEL_EXPORT = f"{_BASE_EXPORT},compression=uncompressed"
"""Weights hardly shrink, and a layer that no program compressed is the same bytes from every builder."""


@dataclass(frozen=True)
class ModelImagesArgs:
    """`revisions` say what each image is built from; `after` is where they are pushed to, if it is made."""

    settings: Settings
    revisions: Revisions
    after: Sequence[pulumi.Resource] = ()


class ModelImages(pulumi.ComponentResource):
    """Builds and pushes the image of each revision, or, for a stack that promotes, only looks it up.

    `refs` are the images by digest, `digests` the digests alone, both by revision. Logical names carry the
    engine and the version, never a role: a promotion of the canary builds and changes nothing."""

    refs: dict[str, pulumi.Output[str]]
    digests: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: ModelImagesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:image:ModelImages", name, None, opts)
        self._args = args
        self._bases: dict[str, docker_build.Image] = {}
        self.refs, self.digests = {}, {}
        for revision in args.revisions.all:
            tag = self._tag(revision)
            digest = self._look_up(revision, tag) if args.settings.promotes else self._build(revision, tag)
            self.digests[revision.name] = digest
            self.refs[revision.name] = pulumi.Output.concat(tag, "@", digest)
        self.register_outputs({"refs": self.refs})

    def _tag(self, revision: Revision) -> str:
        if self._args.settings.fetched_from is not None:
            base = f"{self._args.settings.registry}/tts-server-{revision.entry.engine}"
            return base if self._args.settings.promotes else f"{base}:{revision.base_hash}"
        tag = f"{self._args.settings.registry}/{revision.entry.model}:{revision.entry.version}"
        return tag if self._args.settings.promotes else f"{tag}-{revision.image_hash}"

    def _look_up(self, revision: Revision, tag: str) -> pulumi.Output[str]:
        return look_up(revision.name, f"{tag}@{revision.served.image_digest}", self)

    def _base(self, revision: Revision) -> docker_build.Image:
        """The server base of the revision's engine, declared once."""
        settings, engine = self._args.settings, revision.entry.engine
        if engine not in self._bases:
            self._bases[engine] = source_image(
                f"server-base-{engine}",
                settings,
                dockerfile=revision.entry.server_dockerfile,
                tag=f"{settings.registry}/tts-server-{engine}:{revision.base_hash}",
                parent=self,
                after=self._args.after,
            )
        return self._bases[engine]

    def _build(self, revision: Revision, tag: str) -> pulumi.Output[str]:
        if self._args.settings.fetched_from is not None:
            return self._base(revision).digest  # the server fetches its model files itself
        entry = revision.entry
        image = docker_build.Image(
            f"model-image-{entry.version}",
            context=docker_build.BuildContextArgs(location=f"models/{entry.model}"),
            dockerfile=docker_build.DockerfileArgs(inline=revision.dockerfile),
            build_args={"BASE": self._base(revision).ref, **_EPOCH},
            platforms=_platforms(self._args.settings),
            tags=[tag],
            push=False,
            exports=[docker_build.ExportArgs(raw=_MODEL_EXPORT)],
            build_on_preview=False,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=list(self._args.after), retain_on_delete=True
            ),
        )
        return image.digest


def source_image(
    name: str,
    settings: Settings,
    *,
    dockerfile: str,
    tag: str,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource] = (),
) -> docker_build.Image:
    """An image of this checkout's code; its tag stands for what it is built from. Kept in the registry when
    it is no longer declared: a rollback needs it. Its layers are cached there too, in another repository,
    since the cache's tag moves and the others never do."""
    cache = f"{settings.registry}/{BUILD_CACHE}:{name}"
    return docker_build.Image(
        name,
        context=docker_build.BuildContextArgs(location="."),
        dockerfile=docker_build.DockerfileArgs(location=dockerfile),
        build_args=build_args(settings) | _EPOCH,
        platforms=_platforms(settings),
        tags=[tag],
        push=False,
        exports=[docker_build.ExportArgs(raw=_BASE_EXPORT)],
        cache_from=[docker_build.CacheFromArgs(registry=docker_build.CacheFromRegistryArgs(ref=cache))],
        cache_to=[docker_build.CacheToArgs(registry=_cache_to(cache))],
        build_on_preview=False,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after), retain_on_delete=True),
    )


def _cache_to(ref: str) -> docker_build.CacheToRegistryArgs:
    """A cache as a plain image, which ECR takes too. Without one a build is slower and no different, so a
    registry that refuses it stops nothing."""
    return docker_build.CacheToRegistryArgs(
        ref=ref, image_manifest=True, oci_media_types=True, ignore_error=True
    )


def look_up(name: str, reference: str, parent: pulumi.Resource) -> pulumi.Output[str]:
    """The digest that the registry has for `reference`; the preview fails where it has none. `name` is what a
    provider for it is called, where it needs one of its own."""
    import pulumi_docker as docker  # half a second, and only stacks that promote need it

    provider, (registry, _, _) = None, reference.partition("/")
    if _LOOPBACK.fullmatch(registry):
        # Docker speaks to a registry on its own machine without TLS; the look-up must be told to.
        plain = docker.ProviderRegistryAuthArgs(address=f"http://{registry}", auth_disabled=True)
        options = pulumi.ResourceOptions(parent=parent)
        provider = docker.Provider(f"{name}-registry", registry_auth=[plain], opts=options)
    found = docker.get_registry_image_output(
        name=reference, opts=pulumi.InvokeOptions(parent=parent, provider=provider)
    )
    return found.sha256_digest


def _platforms(settings: Settings) -> list[docker_build.Platform]:
    return [docker_build.Platform(platform) for platform in settings.platforms]
