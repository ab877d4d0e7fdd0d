"""The weights of every step of a ramp: a pure function of the live weights and the target's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Weights = Mapping[str, int]
"""Destination host -> percent; a destination that is not named has 0."""


def apportion(shares: Weights, total: int) -> dict[str, int]:
    """`total` whole units in proportion to `shares`, by largest remainder; ties go to the name that sorts
    first.

    While `total` is at most the sum of the shares, nobody gets more than their share.
    """
    whole = sum(shares.values())
    if whole <= 0:
        return dict.fromkeys(shares, 0)
    units = {name: total * share // whole for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: (-(total * shares[name] % whole), name))
    for name in by_remainder[: total - sum(units.values())]:
        units[name] += 1
    return units


def normalise(weights: Weights) -> dict[str, int]:
    """The same proportions as integers that sum to 100. Nothing but zeros stays as it is."""
    positive = {name: weight for name, weight in weights.items() if weight > 0}
    return {name: weight for name, weight in apportion(positive, 100).items() if weight > 0}


def ramp(live: Weights, target: Weights, steps: Sequence[int]) -> list[dict[str, int]]:
    """The weights of each step from `live` to `target`; both sum to 100.

    `steps` are percents of the way, rising, the last one 100. Every result sums to 100, names only
    destinations with a weight, and moves each destination only towards its target: each step hands out what
    it moves in proportion to what is still missing, so rounding never takes back what an earlier step gave.
    Steps that would change nothing are left out; a target that is already live gives no steps.
    """
    names = sorted({*live, *target})
    now = {name: live.get(name, 0) for name in names}
    way = sum(max(0, target.get(name, 0) - now[name]) for name in names)
    walked = 0
    found: list[dict[str, int]] = []
    for percent in steps:
        moved = (way * percent + 50) // 100 - walked
        if moved <= 0:
            continue
        walked += moved
        gains = apportion({name: max(0, target.get(name, 0) - now[name]) for name in names}, moved)
        losses = apportion({name: max(0, now[name] - target.get(name, 0)) for name in names}, moved)
        now = {name: now[name] + gains[name] - losses[name] for name in names}
        found.append({name: weight for name, weight in now.items() if weight > 0})
    return found


def rising(before: Weights, after: Weights) -> list[str]:
    """The destinations that get more in `after` than they had in `before`."""
    return sorted(name for name, weight in after.items() if weight > before.get(name, 0))
