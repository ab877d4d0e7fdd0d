"""What can go wrong while a version is registered; nothing of it is left behind."""

from local.errors import LocalError


class RegisterError(LocalError):
    """A version cannot be registered: a sentence for each reason."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
