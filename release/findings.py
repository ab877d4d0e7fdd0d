"""What was measured, the limit it is held to, and the verdict: pure rules, so that a receipt can be decided
again by anyone.

A value that is missing, empty, stale or NaN is never a pass.
"""

from __future__ import annotations

import enum
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ReleaseError
from .statistics import Interval, error_interval, ratio_interval

ROUNDING = 1e-9
"""Relative: 1 wrong of 1 answer shows 5 % (not more), whatever the last bit of the interval says."""


class ReceiptError(ReleaseError):
    """A document is not a receipt, or a part of it is no finding."""


class Verdict(enum.Enum):
    """Neither pass nor fail is a hold: more evidence may come."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    HOLD = "hold"


@dataclass(frozen=True)
class Finding:
    """One judged measurement: `name` says of what, `subject` of whom (a pod, a revision). `values` and
    `limits` are JSON, and enough to decide by `rule` again."""

    name: str
    subject: str
    rule: str
    values: Mapping[str, Any]
    limits: Mapping[str, Any]
    verdict: Verdict
    sentence: str

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "subject": self.subject,
            "rule": self.rule,
            "values": dict(self.values),
            "limits": dict(self.limits),
            "verdict": self.verdict.value,
            "sentence": self.sentence,
        }


def find(
    name: str,
    subject: str,
    rule: str,
    *,
    values: Mapping[str, Any],
    limits: Mapping[str, Any],
    sentence: str,
) -> Finding:
    """The finding of a measurement, decided. Values that JSON has no word for are kept as text, so that what
    is decided now and what is read from the receipt are the same."""
    values, limits = _plain(values), _plain(limits)
    return Finding(name, subject, rule, values, limits, decide(rule, values, limits), sentence)


def decide(rule: str, values: Mapping[str, Any], limits: Mapping[str, Any]) -> Verdict:
    """The verdict of a rule. Raises ValueError for one that is not known."""
    if rule not in RULES:
        raise ValueError(f"There is no rule {rule!r}; the rules are {', '.join(RULES)}.")
    return RULES[rule](values, limits)


def finding_from(document: Mapping[str, Any]) -> Finding:
    """The finding that `document` holds; what else is in it is passed over. Raises ReceiptError."""
    if not isinstance(document, Mapping):
        raise ReceiptError(f"A finding is an object, not {document!r}.")
    name = str(document.get("name", "without a name"))
    for key, kind in _SHAPE.items():
        if not isinstance(document.get(key), kind):
            raise ReceiptError(f"The finding {name} has no readable {key}: {document.get(key)!r}.")
    if document["rule"] not in RULES:
        raise ReceiptError(f"The finding {name} is decided by {document['rule']!r}, which is no rule.")
    try:
        verdict = Verdict(document["verdict"])
    except ValueError as error:
        raise ReceiptError(f"The finding {name} has the verdict {document['verdict']!r}.") from error
    return Finding(**{**{key: document[key] for key in _SHAPE}, "verdict": verdict})


_SHAPE: Mapping[str, type] = {
    "name": str, "subject": str, "rule": str, "values": Mapping, "limits": Mapping, "verdict": str,
    "sentence": str,
}  # fmt: skip


def _plain(value: Any) -> Any:
    """`value` as JSON has it: lists for tuples, text for NaN and the infinities."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else str(number)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} cannot be kept in a receipt.")


def _number(value: Any) -> float | None:
    """A finite number, or None: for text, a truth value, NaN and nothing at all."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _exact(values: Mapping[str, Any], limits: Mapping[str, Any]) -> Verdict:
    if "value" not in values or "wanted" not in limits:
        return Verdict.FAIL
    return Verdict.PASS if _same(values["value"], limits["wanted"]) else Verdict.FAIL


def _same(value: Any, wanted: Any) -> bool:
    """Equal as JSON: true is not 1, but 1 is 1.0."""
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return bool(value == wanted)


def _within(value: float, limits: Mapping[str, Any]) -> bool | None:
    """Whether a value is in the range; None where the range cannot be read."""
    bounds = {key: _number(limits[key]) for key in ("min", "max") if key in limits}
    if not bounds or None in bounds.values():
        return None
    low, high = bounds.get("min"), bounds.get("max")
    return (low is None or value >= low) and (high is None or value <= high)


def _range(values: Mapping[str, Any], limits: Mapping[str, Any]) -> Verdict:
    value = _number(values.get("value"))
    return Verdict.PASS if value is not None and _within(value, limits) else Verdict.FAIL


def _measured(values: Mapping[str, Any], limits: Mapping[str, Any]) -> Verdict:
    value = _number(values.get("value"))
    if value is None or values.get("error") or _stale(values, limits):
        return Verdict.HOLD
    within = _within(value, limits)
    if within is None:
        return Verdict.HOLD
    return Verdict.PASS if within else Verdict.FAIL


def _stale(values: Mapping[str, Any], limits: Mapping[str, Any]) -> bool:
    """Whether the data is too old, or nobody knows how old it is (a clock far ahead says nothing either)."""
    if "maxAgeSeconds" not in limits:
        return False
    age, most = _number(values.get("ageSeconds")), _number(limits["maxAgeSeconds"])
    return age is None or most is None or abs(age) > most


def _share(values: Mapping[str, Any], limits: Mapping[str, Any]) -> Verdict:
    """Fails above `percent`, by `leastWrong` wrong ones at least; passes where `passPercent` (`percent` where
    it is left out) is shown."""
    wrong, of = _number(values.get("wrong")), _number(values.get("of"))
    percent, samples = _number(limits.get("percent")), _number(limits.get("samples"))
    bound = _number(limits.get("passPercent", percent))
    if wrong is None or of is None or percent is None or samples is None or bound is None:
        return Verdict.HOLD
    if wrong < 0 or _above(wrong, of):
        return Verdict.HOLD
    interval = error_interval(min(wrong, of), of) if of else Interval(low=0, estimate=0, high=100)
    least = _number(limits.get("leastWrong", 1)) or 1
    if (percent <= 0 and wrong) or (wrong >= least and _above(interval.low, percent)):
        return Verdict.FAIL
    shown = not wrong if bound <= 0 else not _above(interval.high, bound)
    return Verdict.PASS if of >= samples and shown else Verdict.HOLD


def _ratio(values: Mapping[str, Any], limits: Mapping[str, Any]) -> Verdict:
    """Fails above `ratio`, by `leastPairs` pairs at least; passes where `passRatio` (`ratio` where it is left
    out) is shown."""
    candidate, reference = _times(values.get("candidate")), _times(values.get("reference"))
    ratio, samples = _number(limits.get("ratio")), _number(limits.get("samples"))
    bound = _number(limits.get("passRatio", ratio))
    if ratio is None or samples is None or bound is None:
        return Verdict.HOLD
    if not candidate or len(candidate) != len(reference) or len(candidate) < samples:
        return Verdict.HOLD
    interval = ratio_interval(candidate, reference)
    if _above(interval.low, ratio):
        least = _number(limits.get("leastPairs", 1)) or 1
        return Verdict.FAIL if len(candidate) >= least else Verdict.HOLD
    return Verdict.HOLD if _above(interval.high, bound) else Verdict.PASS


def _times(values: Any) -> list[float]:
    """The measured times; none where one of them is no time."""
    times = [_number(value) for value in values] if isinstance(values, list) else []
    return [] if any(time is None or time <= 0 for time in times) else [time for time in times if time]


def _above(value: float, limit: float) -> bool:
    return value > limit + ROUNDING * abs(limit)


def _unjudged(_: Mapping[str, Any], limits: Mapping[str, Any]) -> Verdict:
    """A required check that nobody judges fails; any other is only listed, and is no pass."""
    return Verdict.HOLD if limits.get("required") is False else Verdict.FAIL


RULES: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Verdict]] = {
    "exact": _exact,
    "range": _range,
    "measured": _measured,
    "share": _share,
    "ratio": _ratio,
    "unjudged": _unjudged,
}
"""Each decides by `values` and `limits` alone:

- `exact`: `value` is `wanted`.
- `range`: `value` is between `min` and `max` (one may be left out). Own data: what is missing fails.
- `measured`: as `range`, for the data of others: what is missing, errored or older than `maxAgeSeconds`
  holds.
- `share`: `wrong` of `of` answers, against `percent` of all and at least `samples` of them.
- `ratio`: times of `candidate` to those of `reference`, in pairs, against `ratio` and at least `samples`
  pairs.
- `unjudged`: a check without a judge.
"""
