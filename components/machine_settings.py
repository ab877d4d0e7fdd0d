"""What the pods of a stack run on: resources, time-outs, nodes, and whether all of it can ever fit."""

from collections.abc import Iterable
from dataclasses import dataclass

from components import checks
from components.catalog import ModelVersion, memory_mistake
from components.cluster_settings import EksCluster, check_same
from components.quantity import memory_bytes
from components.reader import Reader

BOTTLEROCKET = "bottlerocket"
_NODE_SECONDS_WITH_GPUS = 600
_PULL_BYTES_PER_SECOND = 25_000_000


@dataclass(frozen=True)
class Timeouts:
    """Budgets in seconds: for a node to appear, for the image to be pulled or the model files to be
    fetched (0: by the model's size). The
    model's load has its own."""

    node_seconds: int
    pull_seconds: int


@dataclass(frozen=True)
class Resources:
    """What one pod asks for. `memory` is empty for what the model needs to load, `memory_limit` for as much
    as is asked for; `gpus` are whole NVIDIA GPUs; `ephemeral_storage` is also the limit of its disk, logs and
    temporary files included."""

    cpu: str
    memory: str
    memory_limit: str
    gpus: int
    ephemeral_storage: str


@dataclass(frozen=True)
class NodeGroup:
    """An EKS managed node group of GPU machines; sizes in nodes, disk in GiB and MiB/s. `ami` is al2023 or
    bottlerocket; `device_plugin` names the image of NVIDIA's, empty where the nodes have one already;
    `update_strategy` is DEFAULT (a new node comes before an old one goes) or MINIMAL (after)."""

    cluster_name: str
    subnet_ids: tuple[str, ...]
    instance_types: tuple[str, ...]
    ami: str
    device_plugin: str
    capacity_type: str
    update_strategy: str
    min_size: int
    max_size: int
    gpus_per_node: int
    disk_gib: int
    disk_throughput: int


def pull_seconds(timeouts: Timeouts, *, size: int) -> int:
    """How long an image with `size` bytes of model files, or these alone, may take to arrive."""
    return timeouts.pull_seconds or min(60 + size // _PULL_BYTES_PER_SECOND, 7200)


def read_timeouts(reader: Reader, *, gpus: int) -> Timeouts:
    section = reader.section("timeouts", optional=True)
    timeouts = Timeouts(
        node_seconds=section.whole(
            "nodeSeconds", low=0, high=3600, default=_NODE_SECONDS_WITH_GPUS if gpus else 0
        ),
        pull_seconds=int(section.limit("pullSeconds", low=1, high=7200) or 0),
    )
    section.finish()
    return timeouts


def read_resources(reader: Reader, entries: Iterable[ModelVersion]) -> Resources:
    """What a pod of any of `entries` asks for; each must fit."""
    section = reader.section("resources", optional=True)
    resources = Resources(
        cpu=section.text("cpu", default="500m", check=checks.cpu),
        memory=section.text("memory", default="", check=memory_mistake),
        memory_limit=section.text("memoryLimit", default="", check=memory_mistake),
        gpus=section.whole("gpus", low=0, high=16, default=0),
        ephemeral_storage=section.text("ephemeralStorage", default="512Mi", check=checks.storage),
    )
    _check_memory(section, resources, entries)
    section.finish()
    return resources


def _check_memory(section: Reader, resources: Resources, entries: Iterable[ModelVersion]) -> None:
    """A pod must get what each model needs to load, and no more than its limit."""
    wanted, limit = memory_bytes(resources.memory), memory_bytes(resources.memory_limit)
    hungriest = max(entries, key=lambda entry: memory_bytes(entry.load_memory) or 0, default=None)
    least = (memory_bytes(hungriest.load_memory) or 0) if hungriest else 0
    if wanted is not None and hungriest and wanted < least:
        section.refuse(
            "memory",
            f'is "{resources.memory}", but {hungriest.model} {hungriest.version} needs '
            f"{hungriest.load_memory} to load: raise it or leave it out.",
        )
    if limit is not None and limit < (wanted or least):
        section.refuse(
            "memoryLimit",
            f'is "{resources.memory_limit}", which is below the memory that a pod asks for: raise it or '
            "leave it out.",
        )


def read_node_group(reader: Reader, made: EksCluster | None) -> NodeGroup | None:
    """The group; in the cluster that the stack makes, and there in its subnets, where it names no others."""
    section = reader.section("nodeGroup", optional=True)
    enabled = section.flag("enabled", default=False)
    cluster, subnets = (made.name, list(made.subnet_ids)) if made else ("", [])
    named = section.text("clusterName", default=cluster or (None if enabled else ""))
    check_same(section, made, named)
    least = section.whole("minSize", low=0, high=1000, default=1)
    most = section.whole("maxSize", low=1, high=1000, default=4)
    if least > most:
        section.refuse("minSize", f"is {least}, which is above maxSize ({most}): swap or change them.")
    group = NodeGroup(
        cluster_name=named,
        subnet_ids=section.texts("subnetIds", default=subnets or (None if enabled else [])),
        instance_types=section.texts("instanceTypes", default=["g6.xlarge"]),
        ami=section.choice("ami", options=("al2023", BOTTLEROCKET), default="al2023"),
        device_plugin=section.text("devicePlugin", default="", check=checks.image_by_digest),
        capacity_type=section.choice("capacityType", options=("ON_DEMAND", "SPOT"), default="ON_DEMAND"),
        update_strategy=section.choice("updateStrategy", options=("DEFAULT", "MINIMAL"), default="DEFAULT"),
        min_size=least,
        max_size=most,
        gpus_per_node=section.whole("gpusPerNode", low=1, high=16, default=1),
        disk_gib=section.whole("diskGiB", low=20, high=16_384, default=200),
        disk_throughput=section.whole("diskThroughput", low=125, high=1000, default=500),
    )
    if group.ami == BOTTLEROCKET and group.device_plugin:
        section.refuse("devicePlugin", "is set, but Bottlerocket's NVIDIA image has its own: leave it out.")
    section.finish()
    return group if enabled else None


def check_capacity(reader: Reader, group: NodeGroup | None, *, gpus: int, peak_pods: int, lower: str) -> None:
    """Refuses what the node group can never hold: during a release two revisions stand side by side. `lower`
    names the setting that makes fewer pods."""
    if group is None:
        return
    if gpus == 0:
        reader.refuse(
            "nodeGroup.enabled", "is true, but tts:resources.gpus is 0: ask for GPUs or drop the group."
        )
    held, needed = group.max_size * group.gpus_per_node, gpus * peak_pods
    if needed > held:
        reader.refuse(
            "nodeGroup.maxSize",
            f"is {group.max_size} with {held} GPUs, but a release needs {needed} while the old and the new "
            f"revision run beside all that stays ({peak_pods} pods): raise it, lower {lower}, or keep fewer "
            "versions.",
        )
    if gpus > group.gpus_per_node:
        reader.refuse(
            "resources.gpus",
            f"is {gpus}, but a node has {group.gpus_per_node}: "
            "choose larger instances and set tts:nodeGroup.gpusPerNode.",
        )
