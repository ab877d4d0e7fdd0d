"""`up`, `preview` and `down`: one whole change of a stack, from its lock to its last line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from local.engine import config as stack_config
from local.engine.cluster import Cluster, Manifest
from local.engine.config import StackConfig
from local.engine.errors import EngineError
from local.engine.images import Builder, Images
from local.engine.kinds import CONFIG_MAP, EVENT, LEASE, NAMESPACE, VIRTUAL_SERVICE, Address, Kind
from local.engine.lock import hold
from local.engine.objects import Objects
from local.engine.outcome import summary, tell_failure, tell_success
from local.engine.platform import Platform
from local.engine.rendering import Rendering, read, write, write_application
from local.engine.report import Report
from local.engine.steps import STACK_LABEL
from local.engine.target import Target
from local.errors import LocalError
from local.keys import check_keys

if TYPE_CHECKING:
    from local.engine.monitor import Bringing, Monitor

PART_OF = "app.kubernetes.io/part-of=tts"
NAME_LABEL = "app.kubernetes.io/name"


def up(target: Target, platform: Platform, report: Report) -> bool:
    """Bring the stack to what its program declares; return whether it succeeded. Failures have been told."""
    config = stack_config.load(target.root, target.stack, target.overrides)
    with hold(platform.home.locks, target.stack):
        report.say(f"Updating stack {target.stack}.")
        platform.start(report)
        check_keys(target, config, platform)
        objects = Objects(
            target.stack,
            platform.cluster(),
            report,
            preview=False,
            namespace=platform.scope(config),
        )
        monitor = _monitor(target, config, objects, _images(target, objects, platform.builder()))
        try:
            _run(target, config, monitor, objects.report, preview=objects.preview)
            objects.prune()
        except LocalError as error:
            tell_failure(monitor.failures or [error], objects, target, config)
            return False
        except KeyboardInterrupt:
            report.failure(
                "Interrupted. What was begun goes on in the cluster, and the next `up` takes it up again."
            )
            return False
        tell_success(target, config, objects, monitor.outputs, platform)
        return True


def preview(target: Target, platform: Platform, report: Report) -> bool:
    """Tell what `up` would do and touch nothing; return whether the program runs."""
    config = stack_config.load(target.root, target.stack, target.overrides)
    cluster = platform.cluster_if_running()
    report.say(f"Previewing stack {target.stack}.")
    if cluster is None:
        report.say(
            "The embedded platform is not running, so this compares with nothing: all is to be created."
        )
    objects = Objects(target.stack, cluster, report, preview=True, namespace=platform.scope(config))
    monitor = _monitor(target, config, objects, _images(target, objects, platform.builder()))
    try:
        _run(target, config, monitor, objects.report, preview=objects.preview)
    except LocalError as error:
        for failure in monitor.failures or [error]:
            report.failure(str(failure))
        return False
    objects.prune()
    changed = summary(objects)
    report.say(f"{changed}. Nothing was touched." if changed else "Nothing would change.")
    return True


def render(target: Target, platform: Platform, report: Report, out: Path | None) -> bool:
    """Write what `up` would bring to a cluster as files for a deploy repository; images that their registry
    lacks are built and pushed. Return whether the program runs. `out`: instead of what tts:gitops says."""
    config = stack_config.load(target.root, target.stack, target.overrides)
    report.say(f"Rendering stack {target.stack}.")
    folder = (out or _rendered_to(target, config)).resolve()
    rendering = Rendering(before=read(folder))
    images = Images(
        platform.registry_builder(), report, root=target.root, preview=False, count=lambda _: None
    )
    monitor = _monitor(target, config, rendering, images)
    try:
        _run(target, config, monitor, report, preview=True)
    except LocalError as error:
        for failure in monitor.failures or [error]:
            report.failure(str(failure))
        return False
    write(folder, rendering.manifests, report)
    for manifest in rendering.applications:
        write_application(folder, manifest, report)
    if rendering.elsewhere:
        report.say(f"{rendering.elsewhere} resources that are no objects of Kubernetes are Pulumi's to make.")
    number = len(rendering.manifests)
    report.say(f"{folder} holds {number} manifests. Nothing was applied: commit and push them.")
    return True


def _rendered_to(target: Target, config: StackConfig) -> Path:
    """Where the stack's config says that its folder of the deploy repository lies."""
    try:
        gitops = json.loads(config.get("gitops") or "{}")
    except ValueError:
        gitops = {}
    if not isinstance(gitops, dict) or not gitops.get("path"):
        raise EngineError(
            f"The stack {target.stack} is not brought to its cluster by Argo CD: write into "
            f"Pulumi.{target.stack}.yaml: tts:gitops: {{repository: https://..., path: {target.stack}}}."
        )
    return target.root / str(gitops.get("directory") or f"../deploy/{gitops['path']}")


def down(target: Target, platform: Platform, report: Report) -> bool:
    """Delete all that the stack has, the route first; stop the platform when nothing else is left on it."""
    config = stack_config.load(target.root, target.stack, target.overrides)
    with hold(platform.home.locks, target.stack):
        if not platform.exists:
            report.say(f"Stack {target.stack} has nothing on this machine.")
            return True
        platform.start(report)
        cluster = platform.cluster()
        objects = Objects(target.stack, cluster, report, preview=False, namespace=platform.scope(config))
        owned = objects.owned()
        scopes = _scopes(owned)
        namespaces = [found for found in owned if found["kind"] == NAMESPACE.name]
        try:
            objects.delete_all(_made_by_releases(cluster, scopes, VIRTUAL_SERVICE))
            objects.delete_all(found for found in reversed(owned) if found not in namespaces)
            # Only now: a Job that ends writes its last word.
            objects.delete_all(_made_by_releases(cluster, scopes, VIRTUAL_SERVICE, CONFIG_MAP, LEASE))
            _forget_events(cluster, report, _made_by_releases(cluster, scopes, EVENT))
            objects.delete_all(namespaces)
        except KeyboardInterrupt:
            report.failure("Interrupted. Run `down` again to remove the rest.")
            return False
        report.say(f"Stack {target.stack} is gone ({len(owned)} objects, {report.seconds:.1f} s).")
        if not platform.shared(target.stack):
            platform.stop(report)
        return True


def _scopes(owned: Sequence[Manifest]) -> list[tuple[str, str]]:
    """Return the namespaces and names of which a stack has objects."""
    scopes = {
        (found["metadata"]["namespace"], found["metadata"]["labels"][NAME_LABEL])
        for found in owned
        if found["metadata"].get("namespace") and NAME_LABEL in found["metadata"]["labels"]
    }
    return sorted(scopes)


def _made_by_releases(cluster: Cluster, scopes: Sequence[tuple[str, str]], *kinds: Kind) -> list[Manifest]:
    """Return what release Jobs made by themselves: receipts, the lease, events, a route not settled yet."""
    return [
        found
        for namespace, name in scopes
        for kind in kinds
        for found in cluster.find(kind, labels=f"{PART_OF},{NAME_LABEL}={name}", namespace=namespace)
        if STACK_LABEL not in found["metadata"]["labels"]
    ]


def _forget_events(cluster: Cluster, report: Report, events: Sequence[Manifest]) -> None:
    for event in events:
        cluster.delete(Address.of(event))
    if events:
        report.step("-", f"Events of the releases: {len(events)} deleted")


def _images(target: Target, objects: Objects, builder: Builder) -> Images:
    return Images(builder, objects.report, root=target.root, preview=objects.preview, count=objects.count)


def _monitor(target: Target, config: StackConfig, objects: Bringing, images: Images) -> Monitor:
    from local.engine.monitor import Monitor  # with it Pulumi's SDK, which takes most of a second to import

    return Monitor(objects, images, project=config.project, stack=target.stack)


def _run(target: Target, config: StackConfig, monitor: Monitor, report: Report, *, preview: bool) -> None:
    from local.engine.monitor import EngineLog
    from local.engine.program import run_program

    run_program(
        target.root,
        stack=target.stack,
        config=config,
        monitor=monitor,
        log=EngineLog(report),
        preview=preview,
    )
