"""API keys: the server knows their sha256 alone, by a file with a line `NAME SHA256` for each."""

import hashlib
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path

from serving.errors import ConfigError

PROBE = "probe"
"""The name of the key with which a release asks: of who has another, no request is taken for a probe."""

_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,62})\s+([0-9a-f]{64})")
_LOOK_AGAIN_SECONDS = 5.0
_log = logging.getLogger("serving.keys")


class Keys:
    """The keys of a file, read again when it changes: a key that is taken out of the Secret ends by itself.

    Where the file cannot be read any more, or a line of it is wrong, the last good ones stay in force."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ConfigError when the file is missing, a line of it is wrong, or it holds no key."""
        self._file = file
        self._clock = clock
        self._looked = clock()
        self._text = self._read()
        self._names = parse(self._text, str(file))
        if not self._names:
            raise ConfigError(f"The file of API keys {file} holds none, so that nobody could be answered.")

    def caller(self, authorization: str | None) -> str | None:
        """The name of the key in a header `Bearer <key>`, None for a key that is not known."""
        self._look()
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        # A lookup by hash: how long it takes says nothing about a key that is nearly right.
        return self._names.get(hash_of(key.strip()))

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked < _LOOK_AGAIN_SECONDS:
            return
        self._looked = now
        try:
            text = self._read()
            if text == self._text:
                return
            self._text = text
            self._names = parse(text, str(self._file))
            _log.info("The API keys were read again: %d.", len(self._names))
        except ConfigError as error:
            _log.warning("%s The keys of before stay in force.", error)

    def _read(self) -> str:
        try:
            return self._file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The file of API keys {self._file} cannot be read: {error}.") from error


def parse(text: str, shown: str) -> dict[str, str]:
    """The names by sha256 (64 hexadecimal digits). Raises ConfigError, which quotes no line."""
    names: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        found = _LINE.fullmatch(stripped)
        if found is None:
            raise ConfigError(
                f"Line {number} of {shown} is no key: write a name (letters, digits, . _ -) and the sha256 "
                "of its key in 64 hexadecimal digits."
            )
        names[found[2]] = found[1]
    return names


def hash_of(key: str) -> str:
    """What the server keeps of a key. Keys are random, 256 bits: no salt or slow hash is needed."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
