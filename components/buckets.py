"""The buckets of weights and outputs on AWS. Imported only by stacks that make them."""

import json

import pulumi
from pulumi_aws import s3

from components.aws_settings import Buckets as BucketSettings
from components.storage_settings import Bucket

_UPLOAD_DAYS = 7


class Buckets(pulumi.ComponentResource):
    """Each is closed to the public, encrypted, spoken to by TLS alone, and keeps for a while what was
    overwritten or deleted. Pulumi refuses to delete one, and leaves it where it is no longer declared."""

    def __init__(self, name: str, args: BucketSettings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:storage:Buckets", name, None, opts)
        for bucket in args.buckets:
            self._declare(bucket, days=args.keep_old_versions_days)
        self.register_outputs({})

    def _declare(self, bucket: Bucket, *, days: int) -> None:
        made = s3.Bucket(
            bucket.name,
            bucket=bucket.name,
            region=bucket.region,
            opts=pulumi.ResourceOptions(parent=self, protect=True, retain_on_delete=True),
        )
        # What closes a bucket stays as long as the bucket does.
        kept = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        block = s3.BucketPublicAccessBlock(
            bucket.name,
            bucket=made.id,
            region=bucket.region,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=kept,
        )
        s3.BucketOwnershipControls(
            bucket.name,
            bucket=made.id,
            region=bucket.region,
            rule=s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=kept,
        )
        s3.BucketServerSideEncryptionConfiguration(
            bucket.name,
            bucket=made.id,
            region=bucket.region,
            rules=[
                s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                        sse_algorithm="AES256"
                    )
                )
            ],
            opts=kept,
        )
        versioning = s3.BucketVersioning(
            bucket.name,
            bucket=made.id,
            region=bucket.region,
            versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=kept,
        )
        s3.BucketLifecycleConfiguration(
            bucket.name,
            bucket=made.id,
            region=bucket.region,
            rules=_lifecycle(days),
            opts=pulumi.ResourceOptions.merge(kept, pulumi.ResourceOptions(depends_on=[versioning])),
        )
        s3.BucketPolicy(
            bucket.name,
            bucket=made.id,
            region=bucket.region,
            policy=tls_alone(bucket.name),
            opts=pulumi.ResourceOptions.merge(kept, pulumi.ResourceOptions(depends_on=[block])),
        )


def tls_alone(bucket: str) -> str:
    """The policy of a bucket that nobody speaks to in plain text."""
    arn = f"arn:aws:s3:::{bucket}"
    statement = {
        "Sid": "TlsAlone",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _lifecycle(days: int) -> list[s3.BucketLifecycleConfigurationRuleArgs]:
    everything = s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
    return [
        s3.BucketLifecycleConfigurationRuleArgs(
            id="old-versions",
            status="Enabled",
            filter=everything,
            noncurrent_version_expiration=s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                noncurrent_days=days
            ),
        ),
        s3.BucketLifecycleConfigurationRuleArgs(
            id="unfinished-uploads",
            status="Enabled",
            filter=everything,
            abort_incomplete_multipart_upload=s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=_UPLOAD_DAYS
            ),
        ),
    ]
