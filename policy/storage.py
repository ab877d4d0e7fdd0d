"""Buckets that nobody outside can read, and what no update may delete."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from policy.declared import UNKNOWN, Config, Declared, Rule, StackRule, at

_BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
_ACLS = ("aws:s3/bucketAcl:BucketAcl", "aws:s3/bucketAclV2:BucketAclV2", *_BUCKETS)
_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
_CLUSTER = "aws:eks/cluster:Cluster"
_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_BLOCKED = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_PRIVATE = ("private", "log-delivery-write", "bucket-owner-full-control", "bucket-owner-read")
_EVERYBODY = (
    "http://acs.amazonaws.com/groups/global/AllUsers",
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
)


def _public(declared: Declared, _: Config) -> Iterable[str]:
    properties = declared.properties
    acl = properties.get("acl")
    if declared.type in _ACLS and isinstance(acl, str) and acl not in _PRIVATE:
        yield f"acl is {acl}, by which others than the bucket's owner read it: leave it out."
    if declared.type in _ACLS and any(group in json.dumps(_plain(properties)) for group in _EVERYBODY):
        yield "It grants rights to everybody: name the accounts that need them."
    if declared.type == _BLOCK:
        for key in _BLOCKED:
            if properties.get(key) not in (True, UNKNOWN):
                yield f"{key} is not true: write it, so that no later policy can open the bucket."
    policy = properties.get("policy")
    if declared.type == _POLICY and isinstance(policy, str):
        for statement in _statements(policy):
            if _for_everybody(statement):
                yield (
                    "policy allows everybody, without a condition, "
                    f"{json.dumps(statement.get('Action'))}: name who may."
                )


def _unprotected(declared: Declared, _: Config) -> Iterable[str]:
    if declared.type in (*_BUCKETS, _CLUSTER) and not declared.protected:
        held = "All of the stack runs in it" if declared.type == _CLUSTER else "It holds data"
        yield f"{held} and it is not protected: declare it with protect, so that no update deletes it."


def _unblocked(resources: Sequence[Declared], _: Config) -> Iterable[tuple[str, Declared]]:
    blocks = [each for each in resources if each.type == _BLOCK]
    covered = {urn for block in blocks for urn in block.sources.get("bucket", ())}
    named = {block.properties.get("bucket") for block in blocks}
    for each in resources:
        if (
            each.type in _BUCKETS
            and each.urn not in covered
            and each.properties.get("bucket") not in named - {None, UNKNOWN}
        ):
            yield (
                "No BucketPublicAccessBlock is declared for it: one mistake, and the bucket is public.",
                each,
            )


def _statements(policy: str) -> list[Mapping[str, Any]]:
    try:
        found = at(json.loads(policy), "Statement")
    except ValueError:
        return []
    return [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, Mapping)]


def _for_everybody(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    anyone = principal == "*" or (isinstance(principal, Mapping) and "*" in _listed(principal.get("AWS")))
    return statement.get("Effect") == "Allow" and anyone and not statement.get("Condition")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> Any:
    """The value without what is not known yet, as JSON takes it."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if value is UNKNOWN else value


RULES = (
    Rule("no-public-bucket", "No bucket can be read by everybody.", _public),
    Rule("data-is-protected", "No update deletes a bucket or a cluster.", _unprotected),
)
STACK_RULES = (
    StackRule("buckets-are-blocked", "Every bucket has a block against public access.", _unblocked),
)
