"""The errors of the node: what the API answers as a Kubernetes `Status`, and what ends the daemon."""

from __future__ import annotations

from typing import Any

from local.errors import LocalError


class NodeError(LocalError):
    """Base of the node's errors; a sentence that a person can act on."""


class ApiError(NodeError):
    """A refused request: `code` and `reason` are those of Kubernetes."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details

    def status(self) -> dict[str, Any]:
        """The body of the answer."""
        body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.code,
        }
        return body | ({"details": self.details} if self.details else {})


def not_found(resource: str, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{resource} "{name}" not found', {"name": name, "kind": resource})


def already_exists(resource: str, name: str) -> ApiError:
    return ApiError(
        409, "AlreadyExists", f'{resource} "{name}" already exists', {"name": name, "kind": resource}
    )


def conflict(resource: str, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, {"name": name, "kind": resource})


def invalid(kind: str, name: str, sentences: list[str]) -> ApiError:
    return ApiError(
        422,
        "Invalid",
        f'{kind} "{name}" is invalid: {" ".join(sentences)}',
        {"name": name, "kind": kind, "causes": [{"message": sentence} for sentence in sentences]},
    )


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)
