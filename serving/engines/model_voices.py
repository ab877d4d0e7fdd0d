"""Voices that come with a model: recordings among its files.

A catalog entry that has `voices/<name>.wav` and `voices/<name>.txt` among its artifacts has the voice <name>.
The first one named is the default.
"""

import wave
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from serving.artifacts import Artifact
from serving.engines.reference import Reference

FOLDER = "voices"


def read_voices(artifacts: Iterable[Artifact], model_dir: Path) -> dict[str, Reference]:
    """The voices by name, in the order of the artifacts. Raises ValueError for one that cannot be used."""
    paths = [PurePosixPath(artifact.path) for artifact in artifacts]
    names = [path.stem for path in paths if path.parent == PurePosixPath(FOLDER) and path.suffix == ".wav"]
    return {name: _read(model_dir / FOLDER / name) for name in names}


def _read(place: Path) -> Reference:
    try:
        transcript = place.with_suffix(".txt").read_text(encoding="utf-8")
        with wave.open(str(place.with_suffix(".wav")), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error, UnicodeDecodeError) as error:
        raise ValueError(f"the voice {place.name} cannot be read: {error}") from error
    if (channels, width) != (1, 2):
        raise ValueError(
            f"the voice {place.name} has {channels} channels of {8 * width} bits; make it mono with 16 bits"
        )
    samples = np.frombuffer(data, "<i2").astype(np.float32) * np.float32(1 / 32768)
    return Reference.of(samples, sample_rate=rate, transcript=transcript)
