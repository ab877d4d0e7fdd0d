"""A stack's configuration -> frozen dataclasses; every mistake reported at once, each with its key."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from components import checks
from components.catalog import Catalog, ModelVersion, memory_mistake, version_mistake
from components.errors import CatalogError, SettingsError
from components.identity import REVISION_LENGTH, revision_name
from components.quantity import memory_bytes
from components.reader import Reader

PROJECT = "tts"
DEFAULT_GATEWAY_ADDRESS = "http://istio-ingressgateway.istio-system.svc.cluster.local"
DEFAULT_BASE_IMAGE = "python:3.11-slim-bookworm"
_HASH_PLACE = "0" * 6
_NODE_SECONDS_WITH_GPUS = 600
_PULL_BYTES_PER_SECOND = 25_000_000


@dataclass(frozen=True)
class Rollout:
    """`steps`: the candidate's weights in percent, rising to 100. `hold_seconds` at each step at least;
    `ready_seconds` until the candidate's pods answer."""

    steps: tuple[int, ...]
    hold_seconds: int
    ready_seconds: int


@dataclass(frozen=True)
class Timeouts:
    """Budgets in seconds: for a node to appear, for the image to be pulled. The model's load has its own."""

    node_seconds: int
    pull_seconds: int


@dataclass(frozen=True)
class Resources:
    """What one pod asks for. `memory` is also its limit; `gpus` are whole NVIDIA GPUs."""

    cpu: str
    memory: str
    gpus: int


@dataclass(frozen=True)
class NodeGroup:
    """An EKS managed node group of GPU machines; sizes in nodes, disk in GiB and MiB/s."""

    cluster_name: str
    subnet_ids: tuple[str, ...]
    instance_types: tuple[str, ...]
    capacity_type: str
    min_size: int
    max_size: int
    gpus_per_node: int
    disk_gib: int
    disk_throughput: int


@dataclass(frozen=True)
class Settings:
    """All that a stack says. `gateway` is `namespace/name` of an existing one or empty for the stack's own;
    `image_digest` is empty where this stack builds the image itself."""

    entry: ModelVersion
    name: str
    namespace: str
    create_namespace: bool
    kube_context: str
    gateway: str
    gateway_selector: Mapping[str, str]
    gateway_address: str
    host: str
    registry: str
    image_digest: str
    base_image: str
    platforms: tuple[str, ...]
    replicas: int
    slots: int
    drain_seconds: int
    grace_seconds: int
    rollout: Rollout
    timeouts: Timeouts
    resources: Resources
    node_selector: Mapping[str, str]
    node_group: NodeGroup | None

    @property
    def peak_gpus(self) -> int:
        """GPUs in use while a release is under way: the candidate and the stable revision side by side."""
        return 2 * self.replicas * self.resources.gpus


def parse_settings(
    config: Mapping[str, Any], catalog: Catalog, *, secret_keys: Collection[str] = ()
) -> Settings:
    """Reads the keys `tts:*` of a stack's configuration; other namespaces are left alone.

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
    entry = _read_entry(reader, catalog)
    settings = _read_settings(reader, entry)
    reader.finish()
    if mistakes or entry is None or settings is None:
        # A secret is reported once, as a secret, not also as whatever else is wrong with its ciphertext.
        raise SettingsError(checks.without_repeats(mistakes))
    return settings


def _read_entry(reader: Reader, catalog: Catalog) -> ModelVersion | None:
    before = len(reader.mistakes)
    model = reader.text("model", check=lambda value: checks.known_model(value, catalog))
    version = reader.text("modelVersion", check=version_mistake)
    if len(reader.mistakes) > before:
        return None
    versions = catalog.versions(model)
    if version not in versions:
        known = ", ".join(versions)
        reader.refuse("modelVersion", f'is "{version}", which is not in the catalog: {model} has {known}.')
        return None
    try:
        return catalog.load(model, version)
    except CatalogError as error:
        reader.mistakes.extend(error.mistakes)
        return None


def _read_settings(reader: Reader, entry: ModelVersion | None) -> Settings | None:
    """Reads everything that does not name the model; without an entry only for the mistakes."""
    name = _read_name(reader, entry)
    resources = _read_resources(reader, entry)
    node_group = _read_node_group(reader)
    replicas = reader.whole("replicas", low=1, high=100, default=1)
    drain = reader.whole("drainSeconds", low=0, high=300, default=5)
    grace = reader.whole("graceSeconds", low=1, high=3600, default=60)
    if grace <= drain:
        reader.refuse(
            "graceSeconds", f"is {grace}, which is not longer than the drain of {drain} seconds: raise it."
        )
    common: dict[str, Any] = {
        "name": name,
        **_read_place(reader),
        **_read_image(reader),
        "replicas": replicas,
        "slots": reader.whole("slots", low=1, high=256, default=1),
        "drain_seconds": drain,
        "grace_seconds": grace,
        "rollout": _read_rollout(reader),
        "timeouts": _read_timeouts(reader, entry, gpus=resources.gpus),
        "resources": resources,
        "node_selector": reader.labels("nodeSelector", default={}),
        "node_group": node_group,
    }
    if entry is None:
        return None
    settings = Settings(entry=entry, **common)
    _check_capacity(reader, settings)
    return settings


def _read_name(reader: Reader, entry: ModelVersion | None) -> str:
    name = reader.text("name", default="", check=checks.dns_label)
    if entry is None:
        return name
    revision = revision_name(name or entry.model, entry.version, _HASH_PLACE)
    if len(revision) > REVISION_LENGTH:
        reader.refuse(
            "name",
            f'would give revisions such as "{revision}" with {len(revision)} characters, but a name in '
            f"Kubernetes leaves room for {REVISION_LENGTH}: choose a shorter name.",
        )
    return name or entry.model


def _read_place(reader: Reader) -> dict[str, Any]:
    """Where the stack lives and how it is reached."""
    return {
        "namespace": reader.text("namespace", default=PROJECT, check=checks.dns_label),
        "create_namespace": reader.flag("createNamespace", default=False),
        "kube_context": reader.text("kubeContext", default=""),
        "gateway": reader.text("gateway", default="", check=checks.gateway),
        "gateway_selector": reader.labels("gatewaySelector", default={"istio": "ingressgateway"}),
        "gateway_address": reader.text(
            "gatewayAddress", default=DEFAULT_GATEWAY_ADDRESS, check=checks.address
        ),
        "host": reader.text("host", default="*", check=checks.host),
    }


def _read_image(reader: Reader) -> dict[str, Any]:
    return {
        "registry": reader.text("registry", check=checks.registry),
        "image_digest": reader.text("imageDigest", default="", check=checks.digest),
        "base_image": reader.text("baseImage", default=DEFAULT_BASE_IMAGE, check=checks.base_image),
        "platforms": reader.texts("platforms", default=["linux/amd64"], check=checks.platform),
    }


def _read_rollout(reader: Reader) -> Rollout:
    section = reader.section("rollout", optional=True)
    steps: list[int] = []
    for index, step in enumerate(section.items("steps", default=[10, 50, 100])):
        if (
            isinstance(step, bool)
            or not isinstance(step, int | float)
            or step != int(step)
            or not 1 <= step <= 100
        ):
            section.refuse(f"steps[{index}]", f"is {step!r}: write a whole number of percent from 1 to 100.")
            continue
        if steps and step <= steps[-1]:
            section.refuse(
                f"steps[{index}]",
                f"is {step}, which is not above the step before it ({steps[-1]}): let them rise.",
            )
        steps.append(int(step))
    if not steps or steps[-1] != 100:
        last = f"end at {steps[-1]}" if steps else "are empty"
        section.refuse(
            "steps", f"{last}, but the last step must give the candidate all traffic: end with 100."
        )
    rollout = Rollout(
        steps=tuple(steps),
        hold_seconds=section.whole("holdSeconds", low=0, high=86_400, default=30),
        ready_seconds=section.whole("readySeconds", low=1, high=3600, default=120),
    )
    section.finish()
    return rollout


def _read_timeouts(reader: Reader, entry: ModelVersion | None, *, gpus: int) -> Timeouts:
    pull = 60 + (entry.size // _PULL_BYTES_PER_SECOND if entry else 0)
    section = reader.section("timeouts", optional=True)
    timeouts = Timeouts(
        node_seconds=section.whole(
            "nodeSeconds", low=0, high=3600, default=_NODE_SECONDS_WITH_GPUS if gpus else 0
        ),
        pull_seconds=section.whole("pullSeconds", low=1, high=7200, default=min(pull, 7200)),
    )
    section.finish()
    return timeouts


def _read_resources(reader: Reader, entry: ModelVersion | None) -> Resources:
    section = reader.section("resources", optional=True)
    least = entry.load_memory if entry else "512Mi"
    resources = Resources(
        cpu=section.text("cpu", default="500m", check=checks.cpu),
        memory=section.text("memory", default=least, check=memory_mistake),
        gpus=section.whole("gpus", low=0, high=16, default=0),
    )
    wanted = memory_bytes(resources.memory)
    if wanted is not None and wanted < (memory_bytes(least) or 0):
        section.refuse(
            "memory",
            f'is "{resources.memory}", but the model needs {least} to load: raise it or leave it out.',
        )
    section.finish()
    return resources


def _read_node_group(reader: Reader) -> NodeGroup | None:
    section = reader.section("nodeGroup", optional=True)
    enabled = section.flag("enabled", default=False)
    required = None if enabled else ""
    least = section.whole("minSize", low=0, high=1000, default=1)
    most = section.whole("maxSize", low=1, high=1000, default=4)
    if least > most:
        section.refuse("minSize", f"is {least}, which is above maxSize ({most}): swap or change them.")
    group = NodeGroup(
        cluster_name=section.text("clusterName", default=required),
        subnet_ids=section.texts("subnetIds", default=None if enabled else []),
        instance_types=section.texts("instanceTypes", default=["g6.xlarge"]),
        capacity_type=section.choice("capacityType", options=("ON_DEMAND", "SPOT"), default="ON_DEMAND"),
        min_size=least,
        max_size=most,
        gpus_per_node=section.whole("gpusPerNode", low=1, high=16, default=1),
        disk_gib=section.whole("diskGiB", low=20, high=16_384, default=200),
        disk_throughput=section.whole("diskThroughput", low=125, high=1000, default=500),
    )
    section.finish()
    return group if enabled else None


def _check_capacity(reader: Reader, settings: Settings) -> None:
    """A release runs two revisions side by side; refuse what the node group can never hold."""
    group = settings.node_group
    if group is None:
        return
    if settings.resources.gpus == 0:
        reader.refuse(
            "nodeGroup.enabled", "is true, but tts:resources.gpus is 0: ask for GPUs or drop the group."
        )
    held = group.max_size * group.gpus_per_node
    if settings.peak_gpus > held:
        reader.refuse(
            "nodeGroup.maxSize",
            f"is {group.max_size} with {held} GPUs, but a release of {settings.replicas} replicas needs "
            f"{settings.peak_gpus} while both revisions run: raise it or lower tts:replicas.",
        )
    if settings.resources.gpus > group.gpus_per_node:
        reader.refuse(
            "resources.gpus",
            f"is {settings.resources.gpus}, but a node has {group.gpus_per_node}: "
            "choose larger instances and set tts:nodeGroup.gpusPerNode.",
        )
