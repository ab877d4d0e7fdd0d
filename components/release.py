"""The release: a Job that judges the candidate, moves the weights and keeps the receipt."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.batch.v1 import Job
from pulumi_kubernetes.core.v1 import ConfigMap, ServiceAccount
from pulumi_kubernetes.rbac.v1 import Role, RoleBinding, RoleRefArgs, SubjectArgs

from components import budgets
from components.labels import Manifest, object_metadata, stack_labels
from components.model_image import look_up, source_image
from components.pod import TERMINATION_LOG, container_security, pod_security
from components.revision import RELEASE_DOCKERFILE, Revision, release_labels, release_plan
from components.settings import Settings

_REFUSED, _SUPERSEDED = 42, 43
_RETRIES = 6


@dataclass(frozen=True)
class ReleaseArgs:
    """`after`: what its account needs (a namespace); `ready`: what must stand before the release begins."""

    settings: Settings
    revision: Revision
    after: Sequence[pulumi.Resource] = ()
    ready: Sequence[pulumi.Resource] = ()


class Release(pulumi.ComponentResource):
    """One release, awaited. The Job's name covers all it is told, so that a changed target is a new Job
    and an unchanged one none. `receipt` names the ConfigMap with its record."""

    job: Job
    receipt: str

    def __init__(self, name: str, args: ReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:release:Release", name, None, opts)
        settings = args.settings
        plan = release_plan(settings, args.revision)
        release = str(plan["release"])
        labels = release_labels(settings, args.revision.name, release)
        config = ConfigMap(
            f"{release}-plan",
            metadata=object_metadata(settings, f"{release}-plan", labels),
            data={"plan.json": json.dumps(plan, indent=1)},
            immutable=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        rights = self._rights(args)
        wait = f"{budgets.release_await(settings)}s"
        self.job = Job(
            "release",
            metadata=object_metadata(
                settings, release, labels, annotations={"pulumi.com/replaceUnready": "true"}
            ),
            spec=_job_spec(settings, release, labels, self._image(args)),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[config, *rights, *args.ready],
                # Never two releases of one stack at once: the newer begins when the older is gone.
                delete_before_replace=True,
                custom_timeouts=pulumi.CustomTimeouts(create=wait, update=wait),
            ),
        )
        self.receipt = f"{release}-receipt"
        self.register_outputs({"release": release, "receipt": self.receipt})

    def _image(self, args: ReleaseArgs) -> pulumi.Output[str]:
        settings = args.settings
        tag = f"{settings.registry}/tts-release:{args.revision.release_image_hash}"
        if settings.image_digest:
            return pulumi.Output.concat(tag, "@", look_up(tag, self))
        image = source_image("release-image", settings, dockerfile=RELEASE_DOCKERFILE, tag=tag, parent=self)
        return image.ref

    def _rights(self, args: ReleaseArgs) -> list[pulumi.Resource]:
        """An account of its own that may do what a release does, in this namespace."""
        settings, name = args.settings, f"{args.settings.name}-release"
        options = pulumi.ResourceOptions(parent=self, depends_on=list(args.after))
        metadata = object_metadata(settings, name, stack_labels(settings, "release"))
        account = ServiceAccount(name, metadata=metadata, opts=options)
        role = Role(name, metadata=metadata, rules=_rules(settings), opts=options)
        binding = RoleBinding(
            name,
            metadata=metadata,
            role_ref=RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="Role", name=name),
            subjects=[SubjectArgs(kind="ServiceAccount", name=name, namespace=settings.namespace)],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account, role]),
        )
        return [account, role, binding]


def _rules(settings: Settings) -> Manifest:
    """Only its own route and lease may be changed. Creating cannot be limited by name, and receipts have a
    new name each time, so configuration maps are open to it in this namespace."""
    route, lease = settings.name, f"{settings.name}-release"
    istio, leases = "networking.istio.io", "coordination.k8s.io"
    return [
        _rule("", "pods", ["list"]),
        _rule("apps", "deployments", ["get"]),
        _rule("batch", "jobs", ["get"]),
        _rule("", "configmaps", ["list", "create", "patch", "delete"]),
        _rule(istio, "virtualservices", ["create"]),
        _rule(istio, "virtualservices", ["get", "patch", "delete"], only=route),
        _rule(leases, "leases", ["create"]),
        _rule(leases, "leases", ["get", "patch"], only=lease),
    ]


def _rule(group: str, resource: str, verbs: list[str], *, only: str | None = None) -> Manifest:
    rule = {"apiGroups": [group], "resources": [resource], "verbs": verbs}
    return rule | {"resourceNames": [only]} if only else rule


def _job_spec(settings: Settings, release: str, labels: dict[str, str], image: pulumi.Input[str]) -> Manifest:
    return {
        "backoffLimit": _RETRIES,
        # No deadline and no time to live: a release ends when the route is safe; its Job stays as proof.
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": "release",
                        "operator": "In",
                        "values": [_REFUSED, _SUPERSEDED],
                    },
                },
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "serviceAccountName": f"{settings.name}-release",
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 30,
                "securityContext": pod_security(),
                "containers": [_container(image)],
                "volumes": [
                    {"name": "plan", "configMap": {"name": f"{release}-plan"}},
                    {"name": "tmp", "emptyDir": {}},
                ],
            },
        },
    }


def _container(image: pulumi.Input[str]) -> Manifest:
    return {
        "name": "release",
        "image": image,
        "command": ["python", "-m", "release", "run"],
        "env": [
            {"name": "TTS_PLAN", "value": "/etc/tts-release/plan.json"},
            {"name": "TTS_TERMINATION_LOG", "value": TERMINATION_LOG},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "plan", "mountPath": "/etc/tts-release", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the only place it may write
        ],
    }
