"""What the receipts and events of a stack tell about its releases. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from textwrap import shorten
from typing import Any

from local.engine.tally import RELEASE_LABEL, traffic

ENDED = "tts/ended"
_LONGEST = 120  # characters of an event
RELEASED = "released"


@dataclass(frozen=True)
class Verdict:
    """How one release ended; `revision` is what it was to make live, `traffic` what its guard counted."""

    release: str
    revision: str
    version: str
    outcome: str
    ended: str
    sentences: tuple[str, ...]
    traffic: str


def verdicts(config_maps: Iterable[Mapping[str, Any]]) -> tuple[Verdict, ...]:
    """Return the verdicts among these ConfigMaps, the newest first."""
    found = [verdict for verdict in map(_verdict, config_maps) if verdict]
    return tuple(sorted(found, key=lambda verdict: verdict.ended, reverse=True))


def _verdict(found: Mapping[str, Any]) -> Verdict | None:
    metadata = found["metadata"]
    ended = metadata.get("annotations", {}).get(ENDED)
    try:
        document = json.loads(found.get("data", {}).get("receipt.json", ""))
    except ValueError:
        return None
    if not ended or not isinstance(document, dict):
        return None
    target = document.get("target") or {}
    return Verdict(
        revision=str(target.get("revision", "")),
        version=str(target.get("version", "")),
        release=str(document.get("release") or metadata.get("labels", {}).get(RELEASE_LABEL, "")),
        outcome=str(document.get("outcome", "")),
        ended=str(ended),
        sentences=tuple(str(sentence) for sentence in document.get("verdict") or []),
        traffic=str(traffic(found).get("sentence", "")),
    )


def made_live(revision: str, known: Sequence[Verdict]) -> Verdict | None:
    """Return the release since which a revision is live, None where its receipt is gone.

    Who wrote the route last may be another: a refused release restores it, a later one moves only a canary.
    """
    released = [verdict for verdict in known if verdict.outcome == RELEASED]
    return next(reversed(list(takewhile(lambda verdict: verdict.revision == revision, released))), None)


def way_back(live: str, known: Sequence[Verdict], words: str) -> str:
    """Return what takes the last release back, as the line to type; `known` has the newest verdict first."""
    undo = f"undo the edit, then make up {words}"
    if known and known[0].outcome != RELEASED:
        clear = undo if known[0].version == live else f"make release VERSION={live} {words}"
        return f"Nothing to take back: version {live} never stopped. To clear the candidate away: {clear}"
    released = [verdict.version for verdict in known if verdict.outcome == RELEASED]
    if released[1:2] == [live]:
        return f"To take back the last change, which was not of the version: {undo}"
    before = next((version for version in released if version and version != live), None)
    if before is None:
        return "Nothing to go back to: no other version was live before."
    return f"To go back: make release VERSION={before} {words}"


def newest_events(events: Iterable[Mapping[str, Any]], count: int = 5) -> list[str]:
    """Return the last `count` events as lines, in the order of time."""
    lines = [
        f"{_when(event)}  {event.get('reason', '')}: {shorten(str(event.get('message', '')), _LONGEST)}"
        for event in sorted(events, key=lambda event: (_when(event), _version(event)))
    ]
    return lines[-count:]


def _when(event: Mapping[str, Any]) -> str:
    times = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return str(next((time for time in times if time), ""))


def _version(event: Mapping[str, Any]) -> int:
    version = str(event["metadata"].get("resourceVersion", ""))
    return int(version) if version.isdecimal() else 0
