"""The findings of a gate as a small table: for each check the worst value, its limit and the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from .findings import Finding, Verdict
from .statistics import ratio_interval

_WIDTHS = (18, 34, 22)


def table(findings: Sequence[Finding]) -> list[str]:
    """One line a check, in the order in which they were judged."""
    grouped: dict[str, list[Finding]] = {}
    for finding in findings:
        grouped.setdefault(finding.name, []).append(finding)
    lines = [_line("check", "worst value", "limit", "verdict")]
    for name, group in grouped.items():
        worst = _worst(group)
        lines.append(_line(name, _value(worst, len(group)), _limit(worst), worst.verdict.value))
    return lines


def _line(*words: str) -> str:
    columns = [word.ljust(width) for word, width in zip(words, _WIDTHS, strict=False)]
    return "  " + " ".join([*columns, words[-1]])


def _worst(group: Sequence[Finding]) -> Finding:
    """The one nearest to its limit, or beyond it; a check that failed comes first."""
    order = {Verdict.FAIL: 0, Verdict.HOLD: 1, Verdict.PASS: 2}
    return min(group, key=lambda finding: (order[finding.verdict], _room(finding)))


def _room(finding: Finding) -> float:
    """How far the value is from the nearer limit, relative to it."""
    value = finding.values.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    rooms = [abs(value - float(limit)) / (abs(float(limit)) or 1.0)
             for key, limit in finding.limits.items() if key in ("min", "max")]  # fmt: skip
    return min(rooms, default=0.0)


def _value(finding: Finding, count: int) -> str:
    if finding.rule == "ratio":
        interval = ratio_interval(finding.values["candidate"], finding.values["reference"])
        pairs = len(finding.values["candidate"])
        return f"{interval.estimate:.2f} ({interval.low:.2f}..{interval.high:.2f}, {pairs} pairs)"
    value = finding.values.get("value")
    shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    return f"{shown} (worst of {count})" if count > 1 else shown


def _limit(finding: Finding) -> str:
    limits = finding.limits
    if "wanted" in limits:
        return "yes" if limits["wanted"] is True else str(limits["wanted"])
    if "ratio" in limits:
        return f"at most {limits['ratio']:g}"
    if "min" in limits and "max" in limits:
        return f"{limits['min']:g} to {limits['max']:g}"
    if "max" in limits:
        return f"at most {limits['max']:g}"
    return f"at least {limits['min']:g}" if "min" in limits else "a judge"
