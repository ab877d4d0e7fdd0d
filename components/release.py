"""The release: a Job that judges the candidates, moves the weights and keeps the receipt, and its guard."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.batch.v1 import Job
from pulumi_kubernetes.core.v1 import ConfigMap, ServiceAccount
from pulumi_kubernetes.rbac.v1 import Role, RoleBinding, RoleRefArgs, SubjectArgs

from components import budgets
from components.labels import Manifest, object_metadata, stack_labels
from components.model_image import look_up, source_image
from components.plan import release_labels, release_plan
from components.provenance import provenance
from components.release_jobs import guard_spec, release_spec, standing_guard_spec
from components.revision import RELEASE_DOCKERFILE, Revisions
from components.settings import Settings


@dataclass(frozen=True)
class ReleaseArgs:
    """`root`: the checkout; `images`: each revision's, by digest; `after`: what its account needs (such as a
    namespace); `before_images`: where its image is pushed to, if the stack makes that."""

    settings: Settings
    revisions: Revisions
    root: Path
    images: Mapping[str, pulumi.Input[str]]
    after: Sequence[pulumi.Resource] = ()
    before_images: Sequence[pulumi.Resource] = ()


class Release(pulumi.ComponentResource):
    """One release in two parts: the `guard` at once, so that it sees the whole change, and the Job itself,
    awaited, by `run`. It begins when the images are there, and gets ready while the candidates start.

    The Jobs' names cover all they are told, so that a changed target is a new release and an unchanged one
    none. `receipt` names the ConfigMap with its record."""

    guard: pulumi.Resource
    receipt: str

    def __init__(self, name: str, args: ReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:release:Release", name, None, opts)
        self._args = args
        plan = release_plan(args.settings, args.revisions)
        self._release = str(plan["release"])
        self._labels = release_labels(args.settings, args.revisions.target, self._release)
        self._image = self._release_image()
        self._told = [self._plan(plan), *self._rights()]
        self._provenance = self._declare_provenance()
        self.guard = self._declare_guard()
        self.receipt = f"{self._release}-receipt"

    def run(self, *, after: Sequence[pulumi.Resource]) -> Job:
        """Declares the Job; `after`: what must stand before the release begins."""
        settings, release = self._args.settings, self._release
        wait = f"{budgets.release_await(settings)}s"
        job = Job(
            "release",
            metadata=object_metadata(
                settings, release, self._labels, annotations={"pulumi.com/replaceUnready": "true"}
            ),
            spec=release_spec(settings, release, self._labels, self._image),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*self._told, self._provenance, self.guard, *after],
                # Never two releases of one stack at once: the newer begins when the older is gone.
                delete_before_replace=True,
                custom_timeouts=pulumi.CustomTimeouts(create=wait, update=wait),
            ),
        )
        self.register_outputs({"release": release, "receipt": self.receipt})
        return job

    def _declare_guard(self) -> pulumi.Resource:
        """It waits for no image but its own, and nothing waits for its end."""
        settings = self._args.settings
        metadata = object_metadata(
            settings, f"{self._release}-guard", self._labels, annotations={"pulumi.com/skipAwait": "true"}
        )
        told = (settings, self._release, self._labels, self._image)
        opts = pulumi.ResourceOptions(parent=self, depends_on=self._told, delete_before_replace=True)
        if settings.gitops is not None:
            return Deployment("guard", metadata=metadata, spec=standing_guard_spec(*told), opts=opts)
        return Job("guard", metadata=metadata, spec=guard_spec(*told), opts=opts)

    def _plan(self, plan: Mapping[str, object]) -> pulumi.Resource:
        name = f"{self._release}-plan"
        return ConfigMap(
            name,
            metadata=object_metadata(self._args.settings, name, self._labels),
            data={"plan.json": json.dumps(plan, indent=1)},
            immutable=True,
            opts=self._options(),
        )

    def _declare_provenance(self) -> pulumi.Resource:
        name, args = f"{self._release}-provenance", self._args
        told = provenance(args.root, stack=pulumi.get_stack(), images=args.images)
        return ConfigMap(
            name,
            metadata=object_metadata(args.settings, name, self._labels),
            data={"provenance.json": told},
            # It says where this release came from; another commit alone is no release.
            opts=pulumi.ResourceOptions.merge(
                self._options(), pulumi.ResourceOptions(ignore_changes=["data"])
            ),
        )

    def _release_image(self) -> pulumi.Output[str]:
        settings, revisions = self._args.settings, self._args.revisions
        tag = f"{settings.registry}/tts-release:{revisions.release_image_hash}"
        if settings.promotes:
            return pulumi.Output.concat(tag, "@", look_up("release", tag, self))
        image = source_image(
            "release-image",
            settings,
            dockerfile=RELEASE_DOCKERFILE,
            tag=tag,
            parent=self,
            after=self._args.before_images,
        )
        return image.ref

    def _rights(self) -> list[pulumi.Resource]:
        """An account of its own that may do what a release does, in this namespace."""
        settings, name = self._args.settings, f"{self._args.settings.name}-release"
        metadata = object_metadata(settings, name, stack_labels(settings, "release"))
        account = ServiceAccount(
            name, metadata=metadata, automount_service_account_token=False, opts=self._options()
        )
        role = Role(
            name, metadata=metadata, rules=_rules(settings, self._args.revisions), opts=self._options()
        )
        binding = RoleBinding(
            name,
            metadata=metadata,
            role_ref=RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="Role", name=name),
            subjects=[SubjectArgs(kind="ServiceAccount", name=name, namespace=settings.namespace)],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account, role]),
        )
        return [account, role, binding]

    def _options(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(self._args.after))


def _rules(settings: Settings, revisions: Revisions) -> Manifest:
    """Only its own route, its lease and the number of pods of what is declared may be changed. Creating
    cannot be limited by name, receipts have a new name each time, and which revision is live is known in the
    cluster alone: so configuration maps and autoscalers are open to it in this namespace."""
    route, lease = settings.name, f"{settings.name}-release"
    istio, leases = "networking.istio.io", "coordination.k8s.io"
    return [
        _rule("", "pods", ["list"]),
        _rule("", "events", ["create"]),
        _rule("apps", "deployments", ["get", "list"]),
        _rule("apps", "deployments/scale", ["patch"], only=[each.name for each in revisions.all]),
        _rule("autoscaling", "horizontalpodautoscalers", ["list", "patch"]),
        _rule("batch", "jobs", ["get"]),
        _rule("", "configmaps", ["list", "create", "patch", "delete"]),
        _rule(istio, "virtualservices", ["create"]),
        _rule(istio, "virtualservices", ["get", "patch", "delete"], only=[route]),
        _rule(leases, "leases", ["create"]),
        _rule(leases, "leases", ["get", "patch"], only=[lease]),
    ]


def _rule(group: str, resource: str, verbs: list[str], *, only: list[str] | None = None) -> Manifest:
    rule = {"apiGroups": [group], "resources": [resource], "verbs": verbs}
    return rule | {"resourceNames": only} if only else rule
