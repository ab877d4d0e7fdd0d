"""What no pipeline carries out, seen on the steps of a preview. A policy cannot see it: it knows resources,
and not what happens to them."""

from collections.abc import Iterable

from pipeline.preview import Preview

_GROUND = (
    "aws:eks/nodeGroup:NodeGroup",
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:eks/cluster:Cluster",
    "aws:eks/addon:Addon",
    "kubernetes:helm.sh/v3:Release",
)
"""What pods run on, and what their requests go through."""

_DATA = ("aws:s3/bucket:Bucket", "aws:ecr/repository:Repository")
_IMAGE = "docker-build:index:Image"
_GONE = ("delete", "replace", "delete-replaced", "create-replacement")
_RELEASE = "release"


def releases(preview: Preview) -> bool:
    """Whether the steps have a release in them: its Job is made anew."""
    return any(step.changes for step in preview.of("Job") if step.name == _RELEASE)


def refusals(preview: Preview) -> list[str]:
    """A sentence for each thing that must not be done; none where all is well."""
    return [*_ground_with_release(preview), *_images_lost(preview), *_data_lost(preview)]


def _ground_with_release(preview: Preview) -> Iterable[str]:
    """A first install makes both; after that nodes would be drained while the release measures on them."""
    first = all(step.op == "create" for step in preview.of("VirtualService"))
    changed = [step for step in preview.steps if step.type in _GROUND and step.changes]
    if changed and releases(preview) and not (first and all(step.op == "create" for step in changed)):
        names = ", ".join(f"{step.kind} {step.name} ({step.op})" for step in changed)
        yield (
            f"Nodes or cluster change together with a release: {names}. What is replaced under a release "
            "spoils what it measures and takes its way back: bring up one of the two first, alone."
        )


def _images_lost(preview: Preview) -> Iterable[str]:
    for step in preview.steps:
        if step.type == _IMAGE and not step.retained:
            yield (
                f"The image {step.name} is not kept when it is no longer declared (retainOnDelete): a "
                "rollback would have nothing to go back to."
            )


def _data_lost(preview: Preview) -> Iterable[str]:
    for step in preview.steps:
        if step.type in _DATA and step.op in _GONE and not step.retained:
            yield f"{step.kind} {step.name} would be lost ({step.op}): keep it declared."
        elif step.protected and step.op in _GONE:
            yield (
                f"{step.kind} {step.name} is protected, and the update would stop at it ({step.op}): keep it "
                "as it is, or unprotect it by hand."
            )
