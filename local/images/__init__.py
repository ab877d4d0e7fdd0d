"""Images of the embedded platform: built from a Dockerfile without Docker, kept as folders."""

from local.images.errors import DockerfileError, ImageError, UnknownImageError
from local.images.store import ImageStore
from local.images.values import Image, ImageBuild, ImageConfig

__all__ = [
    "DockerfileError",
    "Image",
    "ImageBuild",
    "ImageConfig",
    "ImageError",
    "ImageStore",
    "UnknownImageError",
]
