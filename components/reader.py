"""Reading a mapping key by key; every mistake is kept as a sentence, none stops the reading."""

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# A check returns what is wrong and what to do about it, to be read after "<key> is <value>, ".
Check = Callable[[str], str | None]


class Reader:
    """Reads one mapping. `prefix` goes before each key in a sentence; `lenient` also accepts numbers,
    booleans and JSON written as text, which is how Pulumi hands over configuration."""

    def __init__(self, data: Mapping[str, Any], *, prefix: str, mistakes: list[str], lenient: bool) -> None:
        self._data = data
        self._prefix = prefix
        self._lenient = lenient
        self._known: list[str] = []
        self._replaced: set[str] = set()
        self.mistakes = mistakes

    @property
    def given(self) -> bool:
        """Whether the mapping says anything."""
        return bool(self._data)

    def refuse(self, key: str, why: str) -> None:
        """Records that the value at `key` (which may end in an index) is wrong: `<key> <why>`."""
        self.mistakes.append(f"{self._prefix}{key} {why}")

    def text(self, key: str, *, default: str | None = None, check: Check | None = None) -> str:
        """The text at `key`. An empty text counts as unset, as it does in Pulumi's configuration."""
        value = self._value(key, default)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.refuse(key, f"is {_shown(value)}, which is not text: write it in quotes.")
            return ""
        if value == "" and default is None:
            self.refuse(key, "is empty: it needs a value.")
            return ""
        if value != default and check is not None:
            self._apply(check, key, value)
        return value

    def whole(self, key: str, *, low: int, high: int, default: int | None = None) -> int:
        """The whole number at `key`, from `low` to `high`, both included."""
        return int(self._numeric(key, low, high, default, whole=True))

    def number(self, key: str, *, low: float, high: float, default: float | None = None) -> float:
        """The number at `key`, from `low` to `high`, both included."""
        return self._numeric(key, low, high, default, whole=False)

    def limit(self, key: str, *, low: float, high: float) -> float | None:
        """The number at `key`, or None where it is left out."""
        return self.number(key, low=low, high=high) if self._value(key, "") not in (None, "") else None

    def whole_limit(self, key: str, *, low: int, high: int) -> int | None:
        """The whole number at `key`, or None where it is left out."""
        return self.whole(key, low=low, high=high) if self._value(key, "") not in (None, "") else None

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._value(key, default)
        if self._lenient and isinstance(value, str) and value.lower() in ("true", "false"):
            value = value.lower() == "true"
        if not isinstance(value, bool):
            self.refuse(key, f"is {_shown(value)}: write true or false.")
            return default
        return value

    def choice(self, key: str, *, options: Sequence[str], default: str) -> str:
        value = self.text(key, default=default)
        if value and value not in options:
            self.refuse(key, f"is {_shown(value)}: write one of {', '.join(options)}.")
        return value or default

    def items(self, key: str, *, default: Sequence[Any] | None = None) -> list[Any]:
        """The list at `key`, its items unchecked."""
        value = self._decoded(self._value(key, default))
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            self.refuse(key, f"is {_shown(value)}, which is not a list: write it as [a, b].")
            return []
        return list(value)

    def texts(
        self, key: str, *, default: Sequence[str] | None = None, check: Check | None = None
    ) -> tuple[str, ...]:
        """The list of texts at `key`; where it has no default it may not be empty."""
        before = len(self.mistakes)
        values = self.items(key, default=default)
        if not values and default is None and len(self.mistakes) == before:
            self.refuse(key, "is an empty list: it needs at least one item.")
        for index, value in enumerate(values):
            if not isinstance(value, str) or not value:
                self.refuse(f"{key}[{index}]", f"is {_shown(value)}: write a text that is not empty.")
            elif check is not None:
                self._apply(check, f"{key}[{index}]", value)
        return tuple(value for value in values if isinstance(value, str))

    def labels(self, key: str, *, default: Mapping[str, str]) -> dict[str, str]:
        """The mapping of text to text at `key`."""
        value = self._mapping(key, default)
        for name, content in value.items():
            if not isinstance(content, str) or not content:
                self.refuse(f"{key}.{name}", f"is {_shown(content)}: write a text that is not empty.")
        return {str(name): str(content) for name, content in value.items()}

    def document(self, key: str, *, optional: bool = False) -> dict[str, Any]:
        """The mapping at `key` as it is."""
        return dict(self._mapping(key, {} if optional else None))

    def section(self, key: str, *, optional: bool) -> "Reader":
        """The mapping at `key` as a reader of its own; call its `finish` when all its keys have been read."""
        value = self._mapping(key, {} if optional else None)
        return self._child(key, value)

    def sections(self, key: str) -> list["Reader"]:
        """The list of mappings at `key`, each as a reader; the list may not be empty."""
        before = len(self.mistakes)
        values = self.items(key)
        if not values and len(self.mistakes) == before:
            self.refuse(key, "is an empty list: it needs at least one item.")
        readers = []
        for index, value in enumerate(values):
            if isinstance(value, Mapping):
                readers.append(self._child(f"{key}[{index}]", value))
            else:
                self.refuse(
                    f"{key}[{index}]", f"is {_shown(value)}, which is not a mapping of keys to values."
                )
        return readers

    def replaced(self, key: str, *, by: str, why: str) -> None:
        """Refuses a key of earlier versions with the one that took its place."""
        if key in self._data:
            self._replaced.add(key)
            self.refuse(key, f"is no longer a setting: write {self._prefix}{by}, {why}.")

    def finish(self) -> None:
        """Refuses every key that nobody asked for, with the nearest one that exists."""
        for key in self._data:
            if key in self._known or key in self._replaced:
                continue
            near = difflib.get_close_matches(str(key), self._known, n=1, cutoff=0.5)
            remedy = f"did you mean {self._prefix}{near[0]}?" if near else f"known: {', '.join(self._known)}."
            self.refuse(str(key), f"is not a known key: {remedy}")

    def _child(self, key: str, value: Mapping[str, Any]) -> "Reader":
        prefix = f"{self._prefix}{key}."
        return Reader(value, prefix=prefix, mistakes=self.mistakes, lenient=self._lenient)

    def _value(self, key: str, default: Any) -> Any:
        if key not in self._known:
            self._known.append(key)
        value = self._data.get(key)
        if value is None or (value == "" and default is not None):
            if default is None:
                self.refuse(key, "is missing: it needs a value.")
            return default
        return value

    def _apply(self, check: Check, key: str, value: str) -> None:
        wrong = check(value)
        if wrong:
            self.refuse(key, f"is {_shown(value)}, {wrong}")

    def _numeric(self, key: str, low: float, high: float, default: float | None, *, whole: bool) -> float:
        value = self._value(key, default)
        if value is None:
            return low
        if self._lenient and isinstance(value, str):
            value = _number_of(value)
        kind = "a whole number" if whole else "a number"
        # A bool is an int to Python; `not low <= value` also catches NaN.
        wrong_kind = isinstance(value, bool) or not isinstance(value, int | float)
        if wrong_kind or not low <= value <= high or (whole and value != int(value)):
            self.refuse(key, f"is {_shown(value)}: write {kind} from {low:g} to {high:g}.")
            return low
        return float(value)

    def _decoded(self, value: Any) -> Any:
        if not (self._lenient and isinstance(value, str)):
            return value
        try:
            return json.loads(value)
        except ValueError:
            return value

    def _mapping(self, key: str, default: Mapping[str, Any] | None) -> Mapping[str, Any]:
        value = self._decoded(self._value(key, default))
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.refuse(key, f"is {_shown(value)}, which is not a mapping of keys to values.")
            return {}
        return value


def _number_of(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _shown(value: Any) -> str:
    """The value as a sentence can carry it."""
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
