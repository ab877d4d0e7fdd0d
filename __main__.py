"""One stack: one model in one namespace, from its configuration to the route its requests take."""

from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes

from components.errors import DeclarationError
from components.model_image import ModelImage, ModelImageArgs
from components.model_server import ModelServer, ModelServerArgs
from components.release import Release, ReleaseArgs
from components.revision import Revision, identify
from components.settings import NodeGroup, Settings
from components.stack import read_settings
from components.weighted_route import WeightedRoute, WeightedRouteArgs

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Settings -> revision -> resources; a wrong setting ends the program with its sentences."""
    try:
        settings = read_settings(ROOT)
        revision = identify(settings, ROOT)
    except DeclarationError as error:
        raise pulumi.RunError(str(error)) from None
    declare(settings, revision)


def declare(settings: Settings, revision: Revision) -> None:
    """The image, the candidate beside whatever is live, the release, and the route it leaves behind."""
    cluster = cluster_of(settings)
    in_cluster = pulumi.ResourceOptions(providers=[cluster])
    first = [*namespace_of(settings, cluster), *gpu_nodes(settings.name, settings.node_group)]
    if settings.peak_gpus:
        pulumi.info(f"A release of {revision.name} needs {settings.peak_gpus} GPUs while both revisions run.")

    image = ModelImage(settings.name, ModelImageArgs(settings=settings, revision=revision, root=ROOT))
    server = ModelServer(
        revision.name,
        ModelServerArgs(settings=settings, revision=revision.name, image=image.ref, after=first),
        opts=in_cluster,
    )
    route = WeightedRoute(
        settings.name,
        WeightedRouteArgs(settings=settings, revision=revision.name, after=first),
        opts=in_cluster,
    )
    release = Release(
        settings.name,
        ReleaseArgs(settings=settings, revision=revision, after=first, ready=[server, *route.prerequisites]),
        opts=in_cluster,
    )
    route.settle(after=[release.job])

    pulumi.export("url", settings.gateway_address if settings.host == "*" else f"http://{settings.host}")
    pulumi.export("model", settings.entry.model)
    pulumi.export("modelVersion", settings.entry.version)
    pulumi.export("revision", revision.name)
    pulumi.export("imageDigest", image.digest)
    pulumi.export("weights", {revision.name: 100})
    pulumi.export("receipt", f"{settings.namespace}/{release.receipt}")


def cluster_of(settings: Settings) -> kubernetes.Provider:
    """The cluster; an update that died half way finds what it made and goes on with it."""
    return kubernetes.Provider("cluster", context=settings.kube_context or None, upsert_existing_objects=True)


def namespace_of(settings: Settings, cluster: kubernetes.Provider) -> list[pulumi.Resource]:
    """The namespace, where the stack makes its own."""
    if not settings.create_namespace:
        return []
    return [
        kubernetes.core.v1.Namespace(
            settings.namespace,
            metadata={"name": settings.namespace, "labels": {"app.kubernetes.io/part-of": "tts"}},
            opts=pulumi.ResourceOptions(provider=cluster),
        )
    ]


def gpu_nodes(name: str, group: NodeGroup | None) -> list[pulumi.Resource]:
    """The GPU nodes, where the stack asks for them; AWS is loaded only then."""
    if group is None:
        return []
    from components.gpu_node_group import GpuNodeGroup, GpuNodeGroupArgs

    return [GpuNodeGroup(f"{name}-gpu", GpuNodeGroupArgs(stack_name=name, group=group)).node_group]


main()
