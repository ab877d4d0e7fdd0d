"""`python -m release replay FILE`: decides a receipt again, offline, from the values that it holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .findings import Finding, ReceiptError, Verdict, decide, finding_from

RELEASED, REFUSED = "released", "refused"
UNDECIDED = ("superseded", "terminated", "failed", "lease lost")
"""Outcomes that no finding decides."""
PHASES = ("gate", "step", "check")
AGREES, DIFFERS, NO_RECEIPT = 0, 1, 2


@dataclass(frozen=True)
class Placed:
    """A finding and where in the release it was made: `step` counts from 0, and is None outside of steps."""

    phase: str
    step: int | None
    finding: Finding

    @property
    def where(self) -> str:
        """For a sentence."""
        place = self.phase if self.step is None else f"{self.phase} {self.step + 1}"
        return f"{self.finding.name} of {self.finding.subject} ({place})"


def replay(receipt: Mapping[str, Any]) -> list[str]:
    """One sentence for each difference between what the receipt says and what its values say; none when
    they agree. Raises ReceiptError for what is no receipt."""
    found, words, outcome = _read(receipt)
    differences = []
    for placed in found:
        finding = placed.finding
        verdict = decide(finding.rule, finding.values, finding.limits)
        if verdict is not finding.verdict:
            differences.append(
                f"{placed.where} is kept as {finding.verdict.value}, "
                f"but its values say {verdict.value}: {finding.sentence}"
            )
    return differences + _wrong_outcome(outcome, found, words) + _without_evidence(receipt, outcome, found)


def outcome_of(findings: Sequence[Placed], words: Sequence[str]) -> tuple[str, str]:
    """(the outcome, a sentence why) that findings and `words` decide; `words` are reasons that nobody
    measured: never ready, rejected by the API, and the like."""
    failed = next((each for each in findings if each.finding.verdict is Verdict.FAIL), None)
    if failed is not None:
        return REFUSED, f"{failed.where} failed: {failed.finding.sentence}"
    last = {(each.phase, each.step, each.finding.subject, each.finding.name): each for each in findings}
    held = next((each for each in last.values() if _holds(each.finding)), None)
    if held is not None:
        return REFUSED, f"{held.where} stayed undecided: {held.finding.sentence}"
    if words:
        return REFUSED, words[0]
    return RELEASED, "Every check passed and nothing else spoke against it."


def _holds(finding: Finding) -> bool:
    """Whether it leaves the release undecided: a check that is only listed does not."""
    listed = finding.rule == "unjudged" and finding.limits.get("required") is False
    return finding.verdict is Verdict.HOLD and not listed


def _wrong_outcome(outcome: str, found: Sequence[Placed], words: Sequence[str]) -> list[str]:
    if outcome in UNDECIDED:
        return []
    decided, why = outcome_of(found, words)
    if outcome == decided:
        return []
    return [f"The outcome is kept as {outcome}, but the findings say {decided}: {why}"]


def _without_evidence(receipt: Mapping[str, Any], outcome: str, found: Sequence[Placed]) -> list[str]:
    """A release whose steps nobody judged. What a receipt had no room for is no difference."""
    if outcome != RELEASED or receipt.get("findingsLeftOut"):
        return []
    judged = {each.step for each in found}
    steps = receipt.get("steps")
    number = len(steps) if isinstance(steps, list) else 0
    return [f"Step {step + 1} has no finding." for step in range(number) if step not in judged]


def _read(receipt: Mapping[str, Any]) -> tuple[list[Placed], list[str], str]:
    """(findings, reasons that nobody measured, outcome)."""
    if not isinstance(receipt, Mapping):
        raise ReceiptError("A receipt is a JSON object.")
    outcome, documents = receipt.get("outcome"), receipt.get("findings")
    words = receipt.get("refusedFor", [])
    if not isinstance(outcome, str) or not isinstance(documents, list) or not isinstance(words, list):
        raise ReceiptError("A receipt has an outcome, a list of findings and a list refusedFor.")
    return [_placed(document) for document in documents], [str(word) for word in words], outcome


def _placed(document: Any) -> Placed:
    finding = finding_from(document)
    phase, step = document.get("phase"), document.get("step")
    if phase not in PHASES:
        raise ReceiptError(f"The finding {finding.name} is of the phase {phase!r}, not {', '.join(PHASES)}.")
    if step is not None and (isinstance(step, bool) or not isinstance(step, int)):
        raise ReceiptError(f"The finding {finding.name} is of the step {step!r}, which is no number.")
    return Placed(phase, step, finding)


def main(path: str | Path) -> int:
    """Prints what differs; returns 0 when all agrees, 1 when something differs, 2 when it is no receipt."""
    try:
        receipt = json.loads(Path(path).read_text(encoding="utf-8"))
        differences = replay(receipt)
    except (OSError, ValueError, RecursionError, ReceiptError) as error:
        print(f"{path} is no receipt: {error}", file=sys.stderr)
        return NO_RECEIPT
    for sentence in differences:
        print(sentence)
    if differences:
        return DIFFERS
    number, left_out = len(receipt["findings"]), receipt.get("findingsLeftOut") or 0
    missing = f" ({left_out} more had no room in it)" if left_out else ""
    print(f"{receipt['outcome']}: the same verdicts come from its {number} findings{missing}.")
    return AGREES
