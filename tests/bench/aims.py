"""An aim of a bench: what was measured beside what was wanted."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Line:
    """One aim: what was measured, what was wanted, and whether it is so."""

    name: str
    measured: str
    aim: str
    met: bool

    def __str__(self) -> str:
        return f"{self.name:<62} {self.measured:>12}   {self.aim:<14} {'met' if self.met else 'NOT MET'}"


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of the values do not exceed, between two of them as needed."""
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def at_most(name: str, value: float, most: float, unit: str) -> Line:
    """An aim that is an upper bound."""
    digits = 0 if unit == "ms" else 2
    return Line(
        name=name, measured=f"{value:.{digits}f} {unit}", aim=f"<= {most:g} {unit}", met=value <= most
    )


def all_of(name: str, count: int, number: int) -> Line:
    """An aim that holds for each of some, and for more than none."""
    return Line(name=name, measured=f"{count} of {number}", aim="all", met=0 < count == number)
