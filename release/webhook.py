"""The end of a release, told to a chat: Slack's incoming webhook, which many others understand as well."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2

MOST_CHARACTERS = 3000
"""Slack shows 4000 (docs.slack.dev, chat.postMessage); a reason may be long."""


def post(url: str, text: str, *, timeout_seconds: float = 5.0) -> str:
    """Sends `text`. Returns a sentence why it failed, empty when it did not; never raises, and never takes
    longer than about `timeout_seconds`. The URL is a secret: only its host is ever said."""
    url = url.strip()
    failure: list[str] = []
    thread = threading.Thread(
        target=lambda: failure.append(_failure(url, text, timeout_seconds)), name="webhook", daemon=True
    )
    thread.start()
    thread.join(timeout_seconds + 0.5)
    why = failure[0] if failure else f"no answer within {timeout_seconds:g} s"
    return f"The webhook at {_host(url)} was not told: {why}." if why else ""


def _failure(url: str, text: str, timeout_seconds: float) -> str:
    try:
        with httpx2.Client(trust_env=False, timeout=timeout_seconds) as client:
            status = client.post(url, json={"text": text}).status_code
    except Exception as error:  # noqa: BLE001 - an error's own text may hold the URL; its kind does not
        return f"{type(error).__name__}"
    return "" if 200 <= status < 300 else f"it answered {status}"


def _host(url: str) -> str:
    """The host of a URL, without what is secret in it."""
    try:
        return urlsplit(url).hostname or "an address that is no URL"
    except ValueError:
        return "an address that is no URL"


def message(outcome: str, sentences: Sequence[str], receipt: Mapping[str, Any]) -> str:
    """One line of outcome, the reasons, and what it was about. `receipt` is receipt.json; what it lacks is
    left out."""
    target = _mapping(receipt.get("target"))
    stack = _mapping(receipt.get("provenance")).get("stack")
    name = receipt.get("name") or receipt.get("model") or "A release"
    head = f"{name} {target.get('version', '')}".rstrip() + (f" on {stack}" if stack else "")
    reasons = "\n".join(sentences)
    if len(reasons) > MOST_CHARACTERS:
        reasons = reasons[:MOST_CHARACTERS].rsplit(" ", 1)[0] + " ..."
    before = ", ".join(f"{weight} % {revision}" for revision, weight in _sorted(receipt.get("before")))
    about = {
        "release": receipt.get("release"), "namespace": receipt.get("namespace"),
        "revision": target.get("revision"), "before": before, "seconds": receipt.get("seconds"),
    }  # fmt: skip
    foot = "; ".join(f"{key}: {value}" for key, value in about.items() if value)
    return _escaped("\n".join(line for line in (f"{head}: {outcome}", reasons, foot) if line))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sorted(weights: Any) -> list[tuple[str, Any]]:
    return sorted(_mapping(weights).items())


def _escaped(text: str) -> str:
    """Slack reads these three as markup: `<!channel>` would wake everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
