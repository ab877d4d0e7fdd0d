"""What a review wants to see and hear of a registered version: the gate's table and its samples. Pure."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.register.entry import Measured


@dataclass(frozen=True)
class Origin:
    """Where a version comes from: the training output's folder, the machine, the time (UTC)."""

    folder: str
    machine: str
    time: datetime

    @property
    def sentence(self) -> str:
        """For the head of the entry."""
        return f"Registered {self.time:%Y-%m-%d %H:%M} UTC from {self.folder} on {self.machine}."


def this_machine() -> str:
    """What it is, since loads and speeds are its own."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            model = next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{platform.node()} ({model})"


def measured_sentence(measured: Measured) -> str:
    """What loading took."""
    memory = measured.memory_bytes / (1 << 20)
    return f"It was ready after {measured.load_seconds:.1f} s and took {memory:.0f} MiB at most."


def gate_page(
    title: str, origin: Origin, measured: Measured, heard: Mapping[str, Any], before: Mapping[str, Any]
) -> str:
    """gate.md: the table of all checks, what was measured, and each text with its sample."""
    earlier = (before.get("baseline") or {}).get("charactersPerSecond")
    pace = f"{heard['charactersPerSecond']:g} characters a second" + (
        f" ({earlier:g} in the entry before)" if earlier else ""
    )
    lines = [f"# {title}: the gate at registration", "", origin.sentence, measured_sentence(measured), ""]
    lines += [f"Pace: {pace}.", "", "```", *(line.rstrip() for line in heard["table"]), "```", ""]
    if heard["unjudged"]:
        lines += [f"Not judged: {', '.join(heard['unjudged'])}.", ""]
    lines += ["| text | sample |", "|---|---|"]
    lines += [f"| {each['text']} | [{each['file']}]({each['file']}) |" for each in heard["samples"]]
    return "\n".join(lines) + "\n"


def closing(path: str, folder: str, *, uploaded: str, edited: str, model: str, version: str) -> Sequence[str]:
    """What the command says at its end."""
    lines = [f"Registered: {path}; the gate's table and samples are in {folder}."]
    if uploaded:
        lines.append(f"The files are in {uploaded}.")
    else:
        lines.append(
            f"The files are in {folder}, too, since this stack has no tts:objectStore: commit them with the "
            "entry, or remove both, set it and register again, so that large weights stay out of git."
        )
    if edited:
        lines.append(edited)
    lines.append(f"Next: review and commit models/{model}, then make release VERSION={version}.")
    return lines
