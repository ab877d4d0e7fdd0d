"""The text normaliser of GLM-TTS, built once, in its image: `python -m serving.engines.glm_tts.normaliser`.

The code has it built anew whenever it is loaded, into the folder of its package: two minutes, and a pod may
not write there.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tn.chinese import normalizer as chinese

OPTIONS = {"remove_erhua": False, "full_to_half": True, "remove_interjections": False}
"""Those of the code: what is built differs by them."""


@contextmanager
def as_built() -> Iterator[None]:
    """Has the code take what the image holds. Raises ValueError where it asks for another one."""
    original = chinese.Normalizer

    @functools.wraps(original)
    def found(**options: Any) -> Any:
        options.pop("overwrite_cache", None)
        if options != OPTIONS:
            raise ValueError(
                f"the code asks for a normaliser of {options}, and the image has one of {OPTIONS}"
            )
        return original(**options, overwrite_cache=False)

    chinese.Normalizer = found
    try:
        yield
    finally:
        chinese.Normalizer = original


if __name__ == "__main__":
    chinese.Normalizer(**OPTIONS, overwrite_cache=True)
