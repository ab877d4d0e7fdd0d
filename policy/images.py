"""Which images may run and be built."""

import re
from collections.abc import Iterable
from typing import Any

from policy.declared import Config, Declared, Rule, containers, listed, mapping, pods

_BY_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")
_BUILD = "docker-build:index:Image"


def _not_by_digest(declared: Declared, _: Config) -> Iterable[str]:
    for pod in pods(declared):
        for path, container in containers(pod):
            image = container.get("image")
            if isinstance(image, str) and not _BY_DIGEST.fullmatch(image):
                yield (
                    f'{path}.image is "{image}": a tag can be moved, so nobody could say what runs. '
                    "Name the image by its digest, as <repository>:<tag>@sha256:<digest>."
                )


def _moving_tags(declared: Declared, _: Config) -> Iterable[str]:
    for path, reference in _references(declared):
        if isinstance(reference, str) and _moves(reference):
            yield (
                f'{path} is "{reference}", which means another image tomorrow: write a tag that is given '
                "once, such as a version with a hash of the content."
            )


def _references(declared: Declared) -> Iterable[tuple[str, Any]]:
    for pod in pods(declared):
        for path, container in containers(pod):
            yield f"{path}.image", container.get("image")
    if declared.type == _BUILD:
        for index, tag in enumerate(listed(declared.properties.get("tags"))):
            yield f"tags[{index}]", tag
        for key, value in mapping(declared.properties.get("buildArgs")).items():
            if key.endswith("IMAGE"):
                yield f"buildArgs.{key}", value


def _moves(reference: str) -> bool:
    """Whether an image's name carries the tag latest, or neither tag nor digest, which means the same."""
    name, _, digest = reference.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag == "latest" or not (tag or digest)


RULES = (
    Rule("images-by-digest", "Containers name their image by its digest.", _not_by_digest),
    Rule("no-moving-tags", "No image is named, built or built upon by the tag latest.", _moving_tags),
)
