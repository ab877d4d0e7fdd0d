"""One stack: one model in one namespace, from its configuration to the route its requests take."""

from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes

from components.autoscaler import Autoscaler, AutoscalerArgs
from components.callers_settings import access_notice
from components.cloud import declare_cloud
from components.cluster import cluster_of
from components.errors import DeclarationError
from components.gitops import declare_application
from components.labels import namespace_labels
from components.model_image import ModelImages, ModelImagesArgs
from components.model_server import ModelServer, ModelServerArgs
from components.monitoring import Monitoring, MonitoringArgs
from components.network import Network, NetworkArgs
from components.release import Release, ReleaseArgs
from components.revision import Revisions, identify
from components.settings import Settings
from components.stack import read_settings
from components.version_list import VersionList, VersionListArgs
from components.watched import Watched
from components.weighted_route import WeightedRoute, WeightedRouteArgs

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Settings -> revisions -> resources; a wrong setting ends the program with its sentences."""
    try:
        settings = read_settings(ROOT)
        revisions = identify(settings, ROOT)
    except DeclarationError as error:
        raise pulumi.RunError(str(error)) from None
    say(settings, revisions)
    declare(settings, revisions)


def declare(settings: Settings, revisions: Revisions) -> None:
    """Images and guard, the candidates beside whatever is live, the release that waits for them, the route it
    leaves behind."""
    cluster = cluster_of(settings)
    in_cluster = pulumi.ResourceOptions(providers=[cluster.provider])
    namespace = namespace_of(settings, cluster.provider)
    cloud = declare_cloud(settings, cluster=cluster, after=namespace)
    first = [*cluster.ready, *namespace, *cloud.before_pods]

    network = Network(
        settings.name, NetworkArgs(settings=settings, revisions=revisions, after=first), opts=in_cluster
    )
    standing = [*first, *network.policies]
    monitoring = watch(settings, revisions, after=first, opts=in_cluster)
    images = ModelImages(
        settings.name,
        ModelImagesArgs(settings=settings, revisions=revisions, after=cloud.before_images),
    )
    release = Release(
        settings.name,
        ReleaseArgs(
            settings=settings,
            revisions=revisions,
            root=ROOT,
            images=images.refs,
            after=standing,
            before_images=cloud.before_images,
        ),
        opts=in_cluster,
    )
    servers = [
        ModelServer(
            revision.name,
            ModelServerArgs(
                settings=settings,
                revision=revision,
                image=images.refs[revision.name],
                after=[*standing, release.guard],
            ),
            opts=in_cluster,
        )
        for revision in revisions.all
    ]
    route = WeightedRoute(
        settings.name,
        WeightedRouteArgs(settings=settings, revisions=revisions, after=first),
        opts=in_cluster,
    )
    job = release.run(after=[*(server.service for server in servers), *route.prerequisites])
    scale(settings, revisions, after=[*servers, job], opts=in_cluster)
    route.settle(after=[*servers, job])
    if monitoring is not None:
        monitoring.watch_service(after=[job])
    if settings.callers.list_versions:
        args = VersionListArgs(settings=settings, revisions=revisions, after=[job])
        VersionList(settings.name, args, opts=in_cluster)
    network.close(after=[job])
    declare_application(settings)
    export(settings, revisions, image_digest=images.digests[revisions.target.name], receipt=release.receipt)
    if cluster.load_balancer is not None:
        pulumi.export("loadBalancer", cluster.load_balancer)


def watch(
    settings: Settings,
    revisions: Revisions,
    *,
    after: list[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> Monitoring | None:
    """Monitors, alerts and a dashboard, where the stack asks for them."""
    if settings.monitoring is None:
        return None
    args = MonitoringArgs(watched=Watched(settings, settings.monitoring, revisions), after=after)
    return Monitoring(settings.name, args, opts=opts)


def scale(
    settings: Settings,
    revisions: Revisions,
    *,
    after: list[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> None:
    """Where the number of pods follows the traffic: the autoscalers, once the release is over."""
    if settings.autoscaling is None:
        return
    for revision in revisions.all:
        args = AutoscalerArgs(
            settings=settings, autoscaling=settings.autoscaling, revision=revision, after=after
        )
        Autoscaler(revision.name, args, opts=opts)


def export(
    settings: Settings, revisions: Revisions, *, image_digest: pulumi.Output[str], receipt: str
) -> None:
    """What is declared; what is live is read by `status`."""
    target, canary = revisions.target, revisions.canary
    scheme = "https" if settings.tls_secret else "http"
    named = f"{scheme}://{settings.host}"
    pulumi.export("url", settings.gateway_address if settings.host == "*" else named)
    pulumi.export("model", target.entry.model)
    pulumi.export("modelVersion", target.entry.version)
    pulumi.export("revision", target.name)
    pulumi.export("canary", canary.name if canary else "")
    pulumi.export("imageDigest", image_digest)
    pulumi.export("weights", {revision.name: revision.served.weight for revision in revisions.all})
    pulumi.export("receipt", f"{settings.namespace}/{receipt}")


def say(settings: Settings, revisions: Revisions) -> None:
    """What a person should know first: a lifted freeze, an open door, the GPUs at the peak."""
    for notice in settings.notices:
        pulumi.warn(notice)
    if said := access_notice(settings.callers):
        pulumi.info(said)
    if settings.peak_gpus:
        pulumi.info(
            f"A release of {revisions.target.name} needs {settings.peak_gpus} GPUs while the old and the new "
            f"revision run{', with as many pods as autoscaling allows' if settings.autoscaling else ''}."
        )


def namespace_of(settings: Settings, cluster: kubernetes.Provider) -> list[pulumi.Resource]:
    """The namespace, where the stack makes its own."""
    if not settings.create_namespace:
        return []
    return [
        kubernetes.core.v1.Namespace(
            settings.namespace,
            metadata={"name": settings.namespace, "labels": namespace_labels()},
            opts=pulumi.ResourceOptions(provider=cluster),
        )
    ]


main()
