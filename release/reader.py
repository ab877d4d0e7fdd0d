"""Reading a JSON object property by property; every mistake is kept as a sentence, none stops the reading."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from . import route as routes


class Reader:
    """Reads one object. `prefix` stands before each property in a sentence."""

    def __init__(self, document: object, *, prefix: str = "", mistakes: list[str] | None = None) -> None:
        self._document: Mapping[str, Any] = document if isinstance(document, dict) else {}
        self._prefix = prefix
        self.mistakes: list[str] = [] if mistakes is None else mistakes

    def child(self, path: str) -> Reader:
        """The object at `path`; what it lacks is reported property by property."""
        return Reader(self._find(path), prefix=f"{self._prefix}{path}.", mistakes=self.mistakes)

    def children(self, path: str) -> list[Reader]:
        """The objects of the list at `path`; a list that is left out is empty."""
        value = self._find(path)
        if value is None:
            return []
        if not isinstance(value, list):
            self.refuse(path, value, "a list of objects")
            return []
        return [
            Reader(item, prefix=f"{self._prefix}{path}[{index}].", mistakes=self.mistakes)
            for index, item in enumerate(value)
        ]

    def has(self, path: str) -> bool:
        """Whether there is a value that is not null."""
        return self._find(path) is not None

    def refuse(self, path: str, value: object, wanted: str) -> None:
        """Keeps the sentence that `path` must be `wanted`."""
        shown = "is missing" if value is None else f"is {json.dumps(value)[:80]}"
        self.mistakes.append(f"{self._prefix}{path} {shown}; it must be {wanted}.")

    def text(self, path: str) -> str:
        """A text that is not empty."""
        value = self._find(path)
        if isinstance(value, str) and value:
            return value
        self.refuse(path, value, "a text that is not empty")
        return ""

    def choice(self, path: str, *options: str) -> str:
        """One of `options`."""
        value = self._find(path)
        if value in options:
            return str(value)
        self.refuse(path, value, f"one of {', '.join(options)}")
        return options[0]

    def texts(self, path: str) -> tuple[str, ...]:
        """One or more texts, none of them empty."""
        value = self._find(path)
        if (
            isinstance(value, list)
            and value
            and all(isinstance(item, str) and item.strip() for item in value)
        ):
            return tuple(value)
        self.refuse(path, value, "a list of one or more texts, none of them empty")
        return ()

    def mapping(self, path: str) -> dict[str, str]:
        """Text to text; left out it is empty."""
        value = self._find(path)
        if value is None:
            return {}
        if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
            return dict(value)
        self.refuse(path, value, "an object of texts")
        return {}

    def document(self, path: str) -> dict[str, Any]:
        """An object of whatever it holds."""
        value = self._find(path)
        if isinstance(value, dict):
            return dict(value)
        self.refuse(path, value, "an object")
        return {}

    def number(self, path: str, *, least: float = -math.inf) -> float:
        """A finite number."""
        value = self._find(path)
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and value >= least
        ):
            return float(value)
        self.refuse(path, value, "a number" + ("" if least == -math.inf else f" of at least {least:g}"))
        return math.nan

    def limit(self, path: str) -> float | None:
        """A number above 0, or None where it is left out: then there is no such limit."""
        return self.number(path, least=1e-9) if self.has(path) else None

    def whole(self, path: str, *, least: int) -> int:
        """A whole number of at least `least`."""
        value = self.number(path, least=least)
        if math.isfinite(value) and value != int(value):
            self.refuse(path, value, "a whole number")
        return int(value) if math.isfinite(value) else least

    def steps(self, path: str) -> tuple[int, ...]:
        """Rising whole percents that end with 100."""
        value = self._find(path)
        whole = isinstance(value, list) and all(
            type(item) in (int, float) and item == int(item) for item in value
        )
        if whole and value and value[-1] == 100 and value[0] > 0 and value == sorted(set(value)):
            return tuple(int(item) for item in value)
        self.refuse(path, value, "a rising list of whole percents above 0 that ends with 100")
        return ()

    def manifest(self, path: str) -> Mapping[str, Any]:
        """A VirtualService with a weighted entry."""
        value = self._find(path)
        http = self._find(f"{path}.spec.http")
        if (
            isinstance(value, dict)
            and isinstance(http, list)
            and sum(routes.parse(http).weights.values()) == 100
        ):
            return value
        self.refuse(path, value, "the VirtualService's manifest, with a weighted entry in spec.http")
        return {}

    def _find(self, path: str) -> Any:
        value: Any = self._document
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value
