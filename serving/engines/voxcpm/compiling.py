"""The package's own torch.compile of a model, kept only where it is faster."""

from __future__ import annotations

import logging
from collections.abc import Callable

from voxcpm.model.voxcpm import VoxCPMModel

_log = logging.getLogger("serving.engine")

_GAIN = 0.95  # of the plain model's time: less is worth no compiler in the way


def compile_if_faster(model: VoxCPMModel, measure: Callable[[], float]) -> bool:
    """Compiles `model` in place and returns True, or leaves it as it is: where the compiled one is not
    faster, or does not run, as without a C compiler in the image. `measure` speaks and returns how long it
    took, in seconds."""
    plain = measure()
    model.optimize()
    try:
        measure()  # compiles
        compiled = measure()
    except Exception as error:  # noqa: BLE001 - whatever a compiler can raise
        _undo(model)
        _log.warning("The compiled model does not run and is left out: %s", str(error).partition("\n")[0])
        return False
    kept = compiled <= _GAIN * plain
    if not kept:
        _undo(model)
    _log.info("Compiled %.3f s, plain %.3f s: %s.", compiled, plain, "compiled" if kept else "plain")
    return kept


def _undo(model: VoxCPMModel) -> None:
    """Puts back what the package's `optimize` has replaced."""
    for part in (model.base_lm, model.residual_lm):
        part.__dict__.pop("forward_step", None)  # the method of the class stands behind it
    if "_feat_encoder_raw" in model._modules:
        model.feat_encoder = model._feat_encoder_raw
        del model._feat_encoder_raw
    estimator = model.feat_decoder.estimator
    model.feat_decoder.estimator = getattr(estimator, "_orig_mod", estimator)
