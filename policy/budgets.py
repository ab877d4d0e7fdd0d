"""Time budgets that add up: whoever waits, waits longer than what it waits for."""

from collections.abc import Iterable

from policy.declared import Config, Declared, Rule, at, containers, mapping, number, pods

_PROGRESS_DEFAULT = 600  # of Kubernetes
_GRACE_DEFAULT = 30
_GPU = "nvidia.com/gpu"
_SKIP = "pulumi.com/skipAwait"
_OPTIONS = {
    "loadSeconds": {"type": "number", "default": 60},
    "pullSeconds": {"type": "number", "default": 60},
    "nodeSeconds": {"type": "number", "default": 300},
    "marginSeconds": {"type": "number", "default": 60},
}


def _wrong_budgets(declared: Declared, config: Config) -> Iterable[str]:
    if _SKIP in mapping(at(declared.properties, "metadata", "annotations")):
        return
    if declared.kind == "Deployment":
        yield from _of_deployment(declared, config)
    elif declared.kind == "Job" and not declared.timeouts.create:
        yield (
            "It has no custom timeout to create, so the update would give up after ten minutes, in the "
            "middle of a release: give it the sum of what it waits for."
        )


def _of_deployment(declared: Declared, config: Config) -> Iterable[str]:
    starts, grace, on_gpus = 0.0, 0.0, False
    for pod in pods(declared):
        grace = _of_pod_end(number(pod.spec.get("terminationGracePeriodSeconds")))
        for path, container in containers(pod):
            on_gpus = on_gpus or bool(number(at(container, "resources", "limits", _GPU)))
            start = _start_seconds(container)
            starts = max(starts, start)
            if start < config["loadSeconds"]:
                yield (
                    f"{path}.startupProbe gives {start:g} s, and a model may need {config['loadSeconds']:g} "
                    "s to load: raise failureThreshold x periodSeconds, or a slow load is killed for ever."
                )
            drain = number(at(container, "lifecycle", "preStop", "sleep", "seconds")) or 0
            if grace <= drain:
                yield (
                    f"{path}.lifecycle.preStop sleeps for {drain:g} s of the {grace:g} s that the pod has to "
                    "end: raise terminationGracePeriodSeconds, or streams are cut."
                )
    yield from _of_waits(declared, config, starts=starts, grace=grace, on_gpus=on_gpus)


def _of_waits(
    declared: Declared, config: Config, *, starts: float, grace: float, on_gpus: bool
) -> Iterable[str]:
    progress = number(at(declared.properties, "spec", "progressDeadlineSeconds")) or _PROGRESS_DEFAULT
    least = starts + config["pullSeconds"] + (config["nodeSeconds"] if on_gpus else 0)
    parts = f"{starts:g} s to start, {config['pullSeconds']:g} s for the image"
    if on_gpus:
        parts += f", {config['nodeSeconds']:g} s for a GPU node"
    if progress < least:
        yield (
            f"spec.progressDeadlineSeconds is {progress:g}, but it takes up to {least:g} s ({parts}): "
            "raise it."
        )
    margin = config["marginSeconds"]
    for verb, given, needed, what in (
        ("create", declared.timeouts.create, progress, "progressDeadlineSeconds"),
        ("update", declared.timeouts.update, progress, "progressDeadlineSeconds"),
        ("delete", declared.timeouts.delete, grace, "terminationGracePeriodSeconds"),
    ):
        if given < needed + margin:
            yield (
                f"Its custom timeout to {verb} is {given:g} s, but {what} is {needed:g} s and the update "
                f"must outlast it by {margin:g} s, to hear why: raise it."
            )


def _start_seconds(container: object) -> float:
    """How long the startup probe lets a container start; 0 without one."""
    threshold = number(at(container, "startupProbe", "failureThreshold"))
    period = number(at(container, "startupProbe", "periodSeconds"))
    has_probe = at(container, "startupProbe") is not None
    return (3 if threshold is None else threshold) * (10 if period is None else period) if has_probe else 0


def _of_pod_end(grace: float | None) -> float:
    return _GRACE_DEFAULT if grace is None else grace


RULES = (
    Rule(
        "budgets-add-up",
        "Startup probe, progress deadline, grace period and custom timeouts each outlast what they wait for.",
        _wrong_budgets,
        _OPTIONS,
    ),
)
