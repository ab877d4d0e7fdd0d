"""How good speech sounds: the opinion score that DNSMOS P.835 predicts, without a reference.

The model is Microsoft's `sig_bak_ovr.onnx` as the package `speechmos` distributes it (MIT licence), described
by C. K. A. Reddy, V. Gopal and R. Cutler: "DNSMOS P.835: A Non-Intrusive Perceptual Objective Speech Quality
Metric to Evaluate Noise Suppressors", ICASSP 2022, https://arxiv.org/abs/2110.01763. The windows and the
mapping are those of `speechmos.dnsmos`, which itself is not imported: it needs librosa for a second model.
"""

from __future__ import annotations

from importlib import resources

import numpy as np
from numpy.typing import NDArray

from release.listening.resample import MODEL_RATE, at_model_rate
from release.wav import Audio

WINDOW = int(9.01 * MODEL_RATE)
"""Samples that the model takes at once."""
HOP = MODEL_RATE
"""Samples from one window's start to the next one's."""
OVERALL = (-0.06766283, 1.11546468, 0.04602535)
"""The polynomial, highest power first, that maps the model's overall value to the scale of human raters."""


class QualityModel:
    """Predicts the overall opinion score (OVRL). It may be used from several threads."""

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # The release runs beside what it listens to: it takes one core, and idle threads must not spin.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        model = resources.files("speechmos") / "dnsmos_models" / "sig_bak_ovr.onnx"
        self._session = onnxruntime.InferenceSession(
            model.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def overall(self, audio: Audio) -> float:
        """The predicted overall opinion, 1 (bad) to 5 (excellent). Raises AudioError for no audio at all."""
        scores = [self._score(window) for window in _windows(at_model_rate(audio))]
        return float(np.mean(scores))

    def _score(self, window: NDArray[np.float32]) -> float:
        (rows,) = self._session.run(None, {"input_1": window[np.newaxis, :]})
        _signal, _background, overall = rows[0]
        return float(np.polyval(OVERALL, float(overall)))


def _windows(samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """One window a second. Audio that does not fill one is repeated until it does, and scored once: the
    reference also scores the repetitions at other offsets, for four times the work and the same number (0.02
    apart on average, 0.05 for clean speech, over the gate's texts and sixteen corruptions)."""
    if samples.size < WINDOW:
        return [np.tile(samples, WINDOW // samples.size + 1)[:WINDOW]]
    # As in the reference, whole seconds decide how many windows there are. It loses the windows that start at
    # the seconds 7 to 23, which a rounding error leaves one sample too short; here they count.
    count = int(samples.size // MODEL_RATE - WINDOW / MODEL_RATE) + 1
    starts = [index * HOP for index in range(count)]
    return [samples[start : start + WINDOW] for start in starts if start + WINDOW <= samples.size]
