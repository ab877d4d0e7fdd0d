"""GPUs as they can be had, and how many pods, GPUs and nodes a stack may ask for."""

from collections.abc import Iterable, Sequence

from policy.declared import UNKNOWN, Config, Declared, Rule, StackRule, at, containers, number, pods

_GPU = "nvidia.com/gpu"
_NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"


def _unequal_gpus(declared: Declared, _: Config) -> Iterable[str]:
    for pod in pods(declared):
        for path, container in containers(pod):
            limit, request = (at(container, "resources", part, _GPU) for part in ("limits", "requests"))
            if UNKNOWN in (limit, request) or (limit is None and request is None):
                continue
            if number(limit) is None or number(limit) != number(request):
                yield (
                    f"{path}.resources asks for {_shown(request)} {_GPU} with a limit of {_shown(limit)}: a "
                    "GPU is given whole and never lent, so write the same number for both."
                )
            elif not float(number(limit) or 0).is_integer():
                yield f'{path}.resources.limits["{_GPU}"] is {limit}: write a whole number.'


def _too_many(resources: Sequence[Declared], config: Config) -> Iterable[tuple[str, Declared]]:
    """Pods of each workload; GPUs of all of them, while an update has the largest one twice."""
    held: list[tuple[float, Declared]] = []
    for each in resources:
        most = _most_pods(each, resources)
        if most > config["maxReplicas"]:
            yield (
                f"Its pods may be {most:g}, and the cap is {config['maxReplicas']:g}: lower tts:replicas or "
                "tts:autoscaling.maxReplicas, or have the cap raised.",
                each,
            )
        if gpus := most * _gpus_of_a_pod(each):
            held.append((gpus, each))
        nodes = number(at(each.properties, "scalingConfig", "maxSize"))
        if each.type == _NODE_GROUP and nodes and nodes > config["maxNodes"]:
            yield (
                f"scalingConfig.maxSize is {nodes:g}, and the cap is {config['maxNodes']:g} nodes: lower "
                "the maxSize of tts:nodeGroup or tts:aws.cluster.nodes, or have the cap raised.",
                each,
            )
    largest = max(held, key=lambda one: one[0], default=None)
    if largest is None:
        return
    peak = sum(gpus for gpus, _ in held) + largest[0]
    if peak > config["maxGpus"]:
        yield (
            f"The stack needs {peak:g} GPUs while this revision and the one before run side by side, and the "
            f"cap is {config['maxGpus']:g}: lower tts:replicas or tts:autoscaling.maxReplicas, or raise it.",
            largest[1],
        )


def _most_pods(declared: Declared, resources: Sequence[Declared]) -> float:
    """How many pods a Deployment may have: what its autoscaler allows, else what it says."""
    if declared.kind != "Deployment":
        return 0
    name = at(declared.properties, "metadata", "name")
    for each in resources:
        if (
            each.kind == "HorizontalPodAutoscaler"
            and at(each.properties, "spec", "scaleTargetRef", "name") == name
        ):
            return number(at(each.properties, "spec", "maxReplicas")) or 0
    replicas = number(at(declared.properties, "spec", "replicas"))
    return 1 if replicas is None else replicas


def _gpus_of_a_pod(declared: Declared) -> float:
    limits = (
        number(at(container, "resources", "limits", _GPU)) or 0
        for pod in pods(declared)
        for _, container in containers(pod)
    )
    return sum(limits)


def _shown(value: object) -> str:
    return "no" if value is None else str(value)


RULES = (Rule("gpu-limit-is-request", "A container's limit of GPUs is what it asks for.", _unequal_gpus),)
STACK_RULES = (
    StackRule(
        "replica-and-gpu-caps",
        "No stack asks for more pods, GPUs or nodes of a group than the caps allow.",
        _too_many,
        {
            "maxReplicas": {"type": "number", "default": 20},
            "maxGpus": {"type": "number", "default": 16},
            "maxNodes": {"type": "number", "default": 16},
        },
    ),
)
