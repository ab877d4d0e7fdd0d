"""What can go wrong in the server, as one tree; a process that ends because of one uses its `exit_code`."""


class ServingError(Exception):
    """Root of everything this package raises on purpose; the message is a whole sentence for a person."""

    exit_code = 1


class ConfigError(ServingError):
    """The environment or the inference config cannot be used."""

    exit_code = 2


class ArtifactError(ServingError):
    """A model file is missing, cannot be fetched, or is not the one its catalog entry names."""

    exit_code = 3


class StorageError(ServingError):
    """An object could not be read or written; a `transient` one may work when it is asked again."""

    exit_code = 3

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class TakenError(StorageError):
    """The key has an object already, and nothing that is stored is ever replaced."""


class EngineError(ServingError):
    """The engine could not be loaded, or its first synthesis gave no sound."""

    exit_code = 4


class UnspeakableError(ServingError):
    """The engine cannot speak this; the message says why, and `param` names the field that is wrong."""

    def __init__(self, message: str, *, param: str = "input") -> None:
        super().__init__(message)
        self.param = param


class ExhaustedError(ServingError):
    """The engine has no memory left for this request, and has freed what it could for the next one."""


class RequestError(ServingError):
    """A request that is answered with an error, in the shape of OpenAI's API."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.code = code
        self.headers = headers or {}
