"""Pulumi's wire values to Python values and back; what a preview cannot know yet stays `UNKNOWN`."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format, struct_pb2  # type: ignore[import-untyped]

# Constants of Pulumi's protocol, written out here because importing its SDK takes most of a second.
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - Pulumi's marker of a secret, itself public


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Return a struct's values: whole numbers as int, secrets as what they hide."""
    values: dict[str, Any] = _plain(json_format.MessageToDict(struct))
    return values


def holds_secret(struct: struct_pb2.Struct) -> bool:
    """Whether a value of a struct is one that Pulumi keeps secret."""
    return _secret(json_format.MessageToDict(struct))


def _secret(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get(_SIGNATURE) == _SECRET or any(map(_secret, value.values()))
    return isinstance(value, list) and any(map(_secret, value))


def to_struct(values: dict[str, Any]) -> struct_pb2.Struct:
    """Return values of JSON as a struct."""
    return json_format.ParseDict(values, struct_pb2.Struct())


def has_unknown(value: Any) -> bool:
    """Whether a value, or anything in it, is not known before the update has run."""
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return isinstance(value, str) and UNKNOWN in value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            return _plain(value.get("value"))
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
