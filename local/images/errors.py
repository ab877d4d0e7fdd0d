"""What can go wrong with an image: sentences that name the place, the reason and the remedy."""

from local.errors import LocalError


class ImageError(LocalError):
    """An image cannot be built, found or used."""


class UnknownImageError(ImageError):
    """A reference names no image that this machine has."""


class DockerfileError(ImageError):
    """A line of a Dockerfile that the embedded platform does not carry out."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(f"Dockerfile, line {line}: {sentence}")
        self.line = line
