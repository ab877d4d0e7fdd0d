"""The image of a model version: a frozen server base and one layer for each model file."""

import json
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_docker_build as docker_build

from components.catalog import ModelVersion
from components.revision import Revision, build_args, server_dockerfile
from components.settings import Settings

# One exporter instead of `push`: layers uncompressed, so that a model file is pushed and stored once, and
# with fixed times, so that a rebuild gives the same digest. BuildKit before 0.13 ignores the latter.
_MODEL_EXPORT = "type=registry,compression=uncompressed,rewrite-timestamp=true"


@dataclass(frozen=True)
class ModelImageArgs:
    """`root` is the checkout that the image is built from."""

    settings: Settings
    revision: Revision
    root: Path


class ModelImage(pulumi.ComponentResource):
    """Builds and pushes the image, or, for a stack that promotes, only looks it up.

    `ref` is the image by digest, `digest` the digest alone."""

    ref: pulumi.Output[str]
    digest: pulumi.Output[str]

    def __init__(self, name: str, args: ModelImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:image:ModelImage", name, None, opts)
        settings, entry = args.settings, args.settings.entry
        repository = f"{settings.registry}/{entry.model}"
        if settings.image_digest:
            tag = f"{repository}:{entry.version}"
            self.digest = look_up(f"{tag}@{settings.image_digest}", self)
        else:
            tag = f"{repository}:{entry.version}-{args.revision.base_hash}"
            self.digest = self._build(args, tag)
        self.ref = pulumi.Output.concat(tag, "@", self.digest)
        self.register_outputs({"ref": self.ref, "digest": self.digest})

    def _build(self, args: ModelImageArgs, tag: str) -> pulumi.Output[str]:
        settings, entry, base_hash = args.settings, args.settings.entry, args.revision.base_hash
        base = source_image(
            "server-base",
            settings,
            dockerfile=server_dockerfile(settings),
            tag=f"{settings.registry}/tts-server-{entry.engine}:{base_hash}",
            parent=self,
        )
        build_requirements = f"serving/engines/{entry.engine}/build-requirements.txt"
        has_build_requirements = (args.root / build_requirements).is_file()
        image = docker_build.Image(
            "model-image",
            context=docker_build.BuildContextArgs(location=f"models/{entry.model}"),
            dockerfile=docker_build.DockerfileArgs(
                inline=model_dockerfile(
                    entry,
                    base_hash,
                    build_requirements=build_requirements if has_build_requirements else None,
                )
            ),
            build_args={"BASE": base.ref, "SOURCE_DATE_EPOCH": "0"},
            platforms=_platforms(settings),
            tags=[tag],
            push=False,
            exports=[docker_build.ExportArgs(raw=_MODEL_EXPORT)],
            build_on_preview=False,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        return image.digest


def model_dockerfile(entry: ModelVersion, base_hash: str, *, build_requirements: str | None) -> str:
    """The Dockerfile of a model image. Fetched files reach the final stage one by one, each as its own layer;
    what fetching needs (`build_requirements`, a path in the base) stays behind."""
    lines = ["ARG BASE", "FROM ${BASE} AS artifacts", "USER 0"]
    if build_requirements:
        install = ["pip", "install", "--no-cache-dir", "--require-hashes", "-r", f"/app/{build_requirements}"]
        lines.append(f"RUN {json.dumps(install)}")
    for artifact in entry.artifacts:
        if artifact.source.startswith("file:"):
            local = artifact.source.removeprefix("file:")
            lines.append(f"COPY {local} /artifacts/{local}")
    lines.append(f"COPY {entry.version}.yaml /artifacts/entry.yaml")
    fetch = ["python", "-m", "serving.artifacts", "fetch", "/artifacts/entry.yaml", "/model"]
    lines += [f"RUN {json.dumps(fetch)}", "FROM ${BASE}"]
    for key, value in (
        ("title", entry.model),
        ("version", entry.version),
        ("licenses", entry.license),
        ("revision", base_hash),
    ):
        lines.append(f"LABEL org.opencontainers.image.{key}={json.dumps(value)}")
    lines += [f"COPY --from=artifacts /model/{a.path} /model/{a.path}" for a in entry.artifacts]
    return "\n".join(lines) + "\n"


def source_image(
    name: str, settings: Settings, *, dockerfile: str, tag: str, parent: pulumi.Resource
) -> docker_build.Image:
    """An image of this checkout's code; its tag stands for what it is built from. Kept in the registry when
    it is no longer declared: a rollback needs it."""
    return docker_build.Image(
        name,
        context=docker_build.BuildContextArgs(location="."),
        dockerfile=docker_build.DockerfileArgs(location=dockerfile),
        build_args=build_args(settings),
        platforms=_platforms(settings),
        tags=[tag],
        push=True,
        build_on_preview=False,
        opts=pulumi.ResourceOptions(parent=parent, retain_on_delete=True),
    )


def look_up(reference: str, parent: pulumi.Resource) -> pulumi.Output[str]:
    """The digest that the registry has for `reference`; the preview fails where it has none."""
    import pulumi_docker as docker  # half a second, and only stacks that promote need it

    found = docker.get_registry_image_output(name=reference, opts=pulumi.InvokeOptions(parent=parent))
    return found.sha256_digest


def _platforms(settings: Settings) -> list[docker_build.Platform]:
    return [docker_build.Platform(platform) for platform in settings.platforms]
