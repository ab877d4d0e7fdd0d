"""Amounts as Kubernetes writes them."""

import re

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {f"{sign}i": 1024**power for power, sign in enumerate("KMGT", start=1)}
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)(" + "|".join(_UNITS) + r")")
_CPU = re.compile(r"\d+m|\d+(\.\d+)?")


def memory_bytes(quantity: str) -> int | None:
    """`512Mi` -> 536870912; None where it is no amount of memory."""
    match = _MEMORY.fullmatch(quantity)
    return int(float(match[1]) * _UNITS[match[2]]) if match else None


def is_cpu(quantity: str) -> bool:
    """Whether `quantity` is an amount of processor time, such as 500m or 2."""
    return _CPU.fullmatch(quantity) is not None
