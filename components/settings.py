"""A stack's configuration -> frozen dataclasses; every mistake reported at once, each with its key."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from components import checks
from components.aws_settings import Aws, Surroundings, read_aws
from components.callers_settings import Callers, read_callers
from components.catalog import Catalog, ModelVersion
from components.cluster_settings import EksCluster, read_cluster
from components.errors import SettingsError
from components.freeze_settings import apply_freeze, read_freeze
from components.gitops_settings import Gitops, read_gitops
from components.identity import REVISION_LENGTH, revision_name
from components.lexicon_settings import read_lexicon
from components.machine_settings import (
    NodeGroup,
    Resources,
    Timeouts,
    check_capacity,
    read_node_group,
    read_resources,
    read_timeouts,
)
from components.monitoring_settings import Monitoring, read_monitoring, read_webhook_secret
from components.network_settings import Network, read_network
from components.place_settings import read_place
from components.prometheus_settings import Prometheus, read_prometheus
from components.reader import Reader
from components.rollout_settings import Rollout, read_rollout
from components.scaling_settings import Autoscaling, read_autoscaling
from components.storage_settings import OBJECT_STORE, ObjectStore, Store, read_delivery, read_store
from components.version_settings import CANARY, STABLE, Served, read_versions

PROJECT = "tts"
DEFAULT_LONGEST_ANSWER_SECONDS = 300
DEFAULT_BASE_IMAGE = "python:3.11-slim-bookworm"
_HASH_PLACE = "0" * 6


@dataclass(frozen=True)
class Settings:
    """All that a stack says. `served`: the versions it keeps running, the stable one first. `gateway` is
    `namespace/name` of an existing one or empty for the stack's own; without `autoscaling` the number of pods
    is fixed; `webhook_secret` names a Secret or is empty; `service_account` names the identity of the
    servers' pods, empty for the namespace's own; `tls_secret` names the certificate of the stack's own
    gateway, empty for plain HTTP; `notices` are sentences to say aloud in preview and up."""

    served: tuple[Served, ...]
    name: str
    namespace: str
    create_namespace: bool
    kube_context: str
    gateway: str
    gateway_selector: Mapping[str, str]
    gateway_address: str
    host: str
    registry: str
    base_image: str
    platforms: tuple[str, ...]
    autoscaling: Autoscaling | None
    slots: int
    lexicon: Mapping[str, str]
    callers: Callers
    load_delay_seconds: int
    drain_seconds: int
    longest_answer_seconds: int
    rollout: Rollout
    timeouts: Timeouts
    resources: Resources
    node_selector: Mapping[str, str]
    node_group: NodeGroup | None
    prometheus: Prometheus | None
    webhook_secret: str
    network: Network
    delivery: str
    object_store: ObjectStore | None
    store: Store | None
    service_account: str
    aws: Aws
    tls_secret: str
    gitops: Gitops | None
    notices: tuple[str, ...]
    monitoring: Monitoring | None = None

    @property
    def stable(self) -> Served:
        """What `modelVersion` names."""
        return self.served[0]

    @property
    def promotes(self) -> bool:
        """Whether images are looked up that another stack has built."""
        return bool(self.stable.image_digest)

    def most_replicas(self, served: Served) -> int:
        """Pods that a revision may have at most."""
        return self.autoscaling.max_replicas if self.autoscaling else served.replicas

    @property
    def fetched_from(self) -> ObjectStore | None:
        """Where servers fetch their model files at start; None where their image holds them."""
        return self.object_store if self.delivery == OBJECT_STORE else None

    @property
    def peak_pods(self) -> int:
        """Pods while a release is under way, at most: all that is declared, and the live revision beside
        it."""
        scaling = self.autoscaling
        declared = [scaling.most(each) if scaling else each.replicas for each in self.served]
        return self.most_replicas(self.stable) + sum(declared)

    @property
    def peak_gpus(self) -> int:
        """GPUs in use while a release is under way."""
        return self.peak_pods * self.resources.gpus


def parse_settings(
    config: Mapping[str, Any], catalog: Catalog, *, now: datetime, secret_keys: Collection[str] = ()
) -> Settings:
    """Reads the keys `tts:*` of a stack's configuration; other namespaces are left alone. `now` (with a time
    zone) decides whether a freeze still holds.

    Raises SettingsError with one sentence for every mistake."""
    mistakes: list[str] = []
    own = {
        key.removeprefix(f"{PROJECT}:"): value
        for key, value in config.items()
        if key.startswith(f"{PROJECT}:")
    }
    for key, value in own.items():
        if f"{PROJECT}:{key}" in secret_keys or checks.holds_secret(value):
            mistakes.append(checks.secret_mistake(f"{PROJECT}:{key}"))
    reader = Reader(own, prefix=f"{PROJECT}:", mistakes=mistakes, lenient=True)
    served = read_versions(reader, catalog)
    notice = _read_freeze(reader, served, now=now)
    aws = reader.section("aws", optional=True)
    settings = _read_settings(reader, served, cluster=read_cluster(aws), notices=(notice,) if notice else ())
    monitoring = read_monitoring(reader, served, rollout=settings.rollout, prometheus=settings.prometheus)
    settings = replace(_with_aws(settings, aws, catalog), monitoring=monitoring)
    reader.finish()
    if mistakes:
        # A secret is reported once, as a secret, not also as whatever else is wrong with its ciphertext.
        raise SettingsError(checks.without_repeats(mistakes))
    return settings


def _read_freeze(reader: Reader, served: tuple[Served, ...], *, now: datetime) -> str | None:
    """Whoever has weight is heard, so a freeze is about the canary too, unless it only gets copies."""
    keys = {STABLE: "modelVersion", CANARY: "canary.version"}
    audible = {keys[each.role]: each.entry.version for each in served if each.weight}
    return apply_freeze(reader, read_freeze(reader), now=now, audible=audible)


def _read_settings(
    reader: Reader, served: tuple[Served, ...], *, cluster: EksCluster | None, notices: tuple[str, ...]
) -> Settings:
    """Reads everything that names no version; without a version only for the mistakes."""
    entries = [each.entry for each in served]
    resources = read_resources(reader, entries)
    place = read_place(reader, cluster)
    prometheus = read_prometheus(reader)
    settings = Settings(
        served=served,
        name=_read_name(reader, entries),
        **place,
        **_read_image(reader),
        **_read_pod(reader),
        autoscaling=read_autoscaling(reader, served),
        rollout=read_rollout(reader, texts=min((len(entry.gate.texts) for entry in entries), default=0)),
        timeouts=read_timeouts(reader, gpus=resources.gpus),
        resources=resources,
        node_group=read_node_group(reader, cluster),
        prometheus=prometheus,
        webhook_secret=read_webhook_secret(reader),
        network=read_network(
            reader,
            namespace=place["namespace"],
            gateway_address=place["gateway_address"],
            prometheus_url=prometheus.url if prometheus else "",
        ),
        **read_delivery(reader),
        store=read_store(reader),
        aws=Aws(cluster=cluster),
        gitops=read_gitops(reader),
        notices=notices,
    )
    settings = replace(settings, notices=(*notices, *_load_delay_notices(settings)))
    if served:
        check_capacity(
            reader,
            settings.node_group,
            gpus=resources.gpus,
            peak_pods=settings.peak_pods,
            lower="tts:autoscaling.maxReplicas" if settings.autoscaling else "tts:replicas",
        )
    return settings


def _with_aws(settings: Settings, section: Reader, catalog: Catalog) -> Settings:
    """What is made around the rest, which it is about; an identity for the pods becomes their account."""
    around = Surroundings(
        name=settings.name,
        entries=catalog.readable(settings.stable.entry.model) if settings.served else (),
        registry=settings.registry,
        host=settings.host,
        service_account=settings.service_account,
        cluster_name=settings.node_group.cluster_name if settings.node_group else "",
        cluster=settings.aws.cluster,
        fetched=settings.object_store.bucket if settings.object_store else None,
        stored=settings.store.bucket if settings.store else None,
        keeps_objects=settings.callers.keep_objects,
    )
    aws = read_aws(section, around)
    if aws.cluster and settings.gitops:
        section.refuse(
            "cluster",
            "is made by `up`, but tts:gitops needs one that Argo CD runs in: leave out one of them.",
        )
    account = aws.pod_identity.service_account if aws.pod_identity else settings.service_account
    return replace(settings, aws=aws, service_account=account)


def _load_delay_notices(settings: Settings) -> tuple[str, ...]:
    """A rehearsal is said aloud; one that must end in a refusal is what some rehearsals are for."""
    delay = settings.load_delay_seconds
    if not delay:
        return ()
    late = [
        f"{each.entry.version} may take {each.entry.load_budget_seconds} s"
        for each in settings.served
        if delay >= each.entry.load_budget_seconds
    ]
    refused = f" Its release will be refused: by its catalog entry {', '.join(late)}." if late else ""
    return (f"tts:loadDelaySeconds holds every server back until {delay} s after its start.{refused}",)


def _read_name(reader: Reader, entries: list[ModelVersion]) -> str:
    name = reader.text("name", default="", check=checks.dns_label)
    for entry in entries:
        revision = revision_name(name or entry.model, entry.version, _HASH_PLACE)
        if len(revision) > REVISION_LENGTH:
            reader.refuse(
                "name",
                f'would give revisions such as "{revision}" with {len(revision)} characters, but a name in '
                f"Kubernetes leaves room for {REVISION_LENGTH}: choose a shorter name.",
            )
    return name or (entries[0].model if entries else "")


def _read_image(reader: Reader) -> dict[str, Any]:
    return {
        "registry": reader.text("registry", check=checks.registry),
        "base_image": reader.text("baseImage", default=DEFAULT_BASE_IMAGE, check=checks.base_image),
        "platforms": reader.texts("platforms", default=["linux/amd64"], check=checks.platform),
    }


def _read_pod(reader: Reader) -> dict[str, Any]:
    reader.replaced(
        "graceSeconds",
        by="longestAnswerSeconds",
        why="how long the longest answer may take, from which the time to end follows",
    )
    return {
        "slots": reader.whole("slots", low=1, high=256, default=1),
        "lexicon": read_lexicon(reader),
        "callers": read_callers(reader),
        "load_delay_seconds": reader.whole("loadDelaySeconds", low=0, high=7200, default=0),
        "drain_seconds": reader.whole("drainSeconds", low=0, high=300, default=5),
        "longest_answer_seconds": reader.whole(
            "longestAnswerSeconds", low=1, high=3600, default=DEFAULT_LONGEST_ANSWER_SECONDS
        ),
        "node_selector": reader.labels("nodeSelector", default={}),
        "service_account": reader.text("serviceAccount", default="", check=checks.object_name),
    }
