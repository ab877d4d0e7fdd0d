"""Times as Kubernetes writes them: UTC, to the second."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_since(timestamp: str, at: str) -> float:
    """Seconds from one timestamp to another."""
    return (datetime.fromisoformat(at) - datetime.fromisoformat(timestamp)).total_seconds()
