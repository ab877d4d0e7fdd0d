"""What can go wrong while a stack is brought to what its program declares."""

from __future__ import annotations

from local.errors import LocalError


class EngineError(LocalError):
    """A step of an update, or its preparation, failed."""


class ConfigError(EngineError):
    """The stack's config cannot be read or edited."""


class LockedError(EngineError):
    """Another command changes the same stack."""


class UnsupportedError(EngineError):
    """The program declares something that the embedded platform does not carry out."""


class ProgramError(EngineError):
    """The program itself ended with an error."""


class AwaitError(EngineError):
    """An object did not become what it was declared to become."""


class StoppedError(EngineError):
    """The update was stopped, by a person or by the failure of another step, while this step waited."""


class ClusterError(EngineError):
    """The Kubernetes API refused a request or could not be reached.

    `code` is the HTTP status, 0 when there was no answer.
    """

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code

    @property
    def immutable(self) -> bool:
        """Whether the refusal says that a field cannot change on an object that exists."""
        return self.code == 422 and "immutable" in str(self).lower()
