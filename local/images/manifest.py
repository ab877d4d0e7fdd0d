"""What an image consists of in a registry, and how much of it a push brings there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from local.images.registry import Registry

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_OCI_CONFIG = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True)
class Blob:
    """A layer or a config: `sha256:<hex>` and its size in bytes, as pushed."""

    digest: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """The manifest of one image, byte for byte; `config_content` where no builder has it to push."""

    content: bytes
    config_content: bytes = b""

    @classmethod
    def plain(cls, config: dict[str, Any], layers: list[dict[str, Any]]) -> Manifest:
        """Return the manifest of `config` and `layers` (descriptors), without comments on how they came to be
        and always in the same bytes."""
        steps = [
            {key: value for key, value in step.items() if key != "comment"} for step in config["history"]
        ]
        content = _json(config | {"history": steps})
        described = {"mediaType": _OCI_CONFIG, "digest": digest_of(content), "size": len(content)}
        manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described, "layers": layers}
        return cls(_json(manifest), content)

    @property
    def digest(self) -> str:
        """`sha256:<hex>`, which a deployment names."""
        return digest_of(self.content)

    @property
    def config(self) -> Blob:
        """What a container of the image starts with, in a blob of its own."""
        return _blob(json.loads(self.content)["config"])

    @property
    def layers(self) -> list[Blob]:
        """The layers, the lowest first."""
        return [_blob(layer) for layer in json.loads(self.content)["layers"]]


def digest_of(content: bytes) -> str:
    """`sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _blob(descriptor: dict[str, Any]) -> Blob:
    return Blob(descriptor["digest"], descriptor["size"])


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Pushed:
    """What a push brings to a registry: bytes of blobs and manifest, and how many of the layers."""

    size: int
    new: int
    layers: int

    def __str__(self) -> str:
        megabytes = self.size / 1e6
        size = f"{megabytes:.1f} MB" if megabytes >= 0.1 else f"{self.size} bytes"
        return f"Pushed {size}: {self.new} of {self.layers} layers new"


def missing(manifest: Manifest, registry: Registry, repository: str, related: set[str]) -> Pushed:
    """Count, before a push, what a repository lacks; what a `related` one has is mounted from there."""

    def lacks(blob: Blob) -> bool:
        return not registry.has_blob(repository, blob.digest) and not any(
            registry.mount(repository, blob.digest, source=source) for source in sorted(related)
        )

    new = {blob for blob in manifest.layers if lacks(blob)}
    size = sum(blob.size for blob in new)
    if lacks(manifest.config):
        size += manifest.config.size
    if registry.digest(repository, manifest.digest) is None:
        size += len(manifest.content)
    return Pushed(size, len(new), len(manifest.layers))
