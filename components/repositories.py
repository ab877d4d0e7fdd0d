"""Where images are kept on AWS: ECR. Imported only by stacks that ask for it."""

import json
from typing import Any

import pulumi
from pulumi_aws import ecr

from components.aws_settings import BUILD_CACHE
from components.aws_settings import Repositories as RepositorySettings

_UNTAGGED_DAYS = 14


class Repositories(pulumi.ComponentResource):
    """One repository for each image. A tag is given once, but for those of the build's cache; what is pushed
    is scanned; the newest images are kept, and with them every way back that needs no second gate.

    `pulumi destroy` leaves them: what a stack ran outlives it."""

    repositories: list[pulumi.Resource]

    def __init__(
        self, name: str, args: RepositorySettings, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tts:image:Repositories", name, None, opts)
        self.repositories = [self._repository(args, image) for image in args.names]
        self.register_outputs({})

    def _repository(self, args: RepositorySettings, image: str) -> Any:
        moves = image == BUILD_CACHE
        repository = ecr.Repository(
            f"repository-{image}",
            name=f"{args.path}/{image}",
            region=args.region,
            image_tag_mutability="MUTABLE" if moves else "IMMUTABLE",
            image_scanning_configuration=ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=[ecr.RepositoryEncryptionConfigurationArgs(encryption_type="AES256")],
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        ecr.LifecyclePolicy(
            f"lifecycle-{image}",
            repository=repository.name,
            region=args.region,
            policy=json.dumps({"rules": _rules(None if moves else args.keep_images)}),
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        return repository


def _rules(keep: int | None) -> list[dict[str, Any]]:
    """What goes: images that lost their tag, after a while, and those beyond the newest `keep`."""
    untagged = {
        "rulePriority": 1,
        "description": f"Without a tag for {_UNTAGGED_DAYS} days",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": _UNTAGGED_DAYS,
        },
        "action": {"type": "expire"},
    }
    if keep is None:
        return [untagged]
    older = {
        "rulePriority": 2,
        "description": f"Beyond the newest {keep}",
        "selection": {
            "tagStatus": "tagged",
            "tagPatternList": ["*"],
            "countType": "imageCountMoreThan",
            "countNumber": keep,
        },
        "action": {"type": "expire"},
    }
    return [untagged, older]
