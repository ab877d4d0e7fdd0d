"""Where a model runs, in which numbers, and how much memory it may take."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch

from serving.engines.on_torch.settings import TorchSettings

_log = logging.getLogger("serving.engine")

_GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Device:
    """A place to run: torch's name of it, and the type of numbers that it is good at."""

    name: str
    dtype: torch.dtype


def choose(settings: TorchSettings) -> Device:
    """The device of this process, which has one model, with its memory bounded.

    Of several GPUs the first that the process sees is taken: a pod is given the one that it asked for.
    Raises ValueError where there is none: a model meant for a GPU would speak on a processor, at a tenth of
    its pace.
    """
    if settings.device == "cpu":
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        return Device(name="cpu", dtype=torch.float32)
    if not torch.cuda.is_available():
        raise ValueError(
            f"it is to run on a GPU, and torch {torch.__version__} sees none; give the pod one "
            "(tts:resources.gpus) on a node whose driver is new enough for CUDA "
            f"{torch.version.cuda}, or write settings.device: cpu in the catalog entry"
        )
    bound_memory(settings.memory_gib, torch.cuda.get_device_properties(0))
    return Device(name="cuda", dtype=best_dtype())


def best_dtype() -> torch.dtype:
    """bfloat16 where the GPU computes in it (from Ampere on), else float32: the models are trained in
    bfloat16, and float16 has too small a range for them."""
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float32


def bound_memory(gib: float | None, properties: Any) -> None:
    """Has torch raise its own error at so many GiB, before the GPU is full. Raises ValueError for more than
    the GPU of these properties has."""
    total = properties.total_memory / _GIB
    if gib is None:
        _log.info("%s with %.1f GiB, all of it for this model", properties.name, total)
        return
    if gib > total:
        raise ValueError(
            f"settings.memoryGiB is {gib:g}, and the GPU {properties.name} has {total:.1f} GiB; "
            "lower it or leave it out"
        )
    torch.cuda.set_per_process_memory_fraction(gib / total, 0)
    _log.info("%s with %.1f GiB, of which %.1f for this model", properties.name, total, gib)
