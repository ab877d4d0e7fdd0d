"""Reading a Dockerfile: its text as instructions, with line numbers, words and variables."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from local.images.errors import DockerfileError

KNOWN = frozenset(
    ["ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "LABEL", "RUN", "USER", "WORKDIR"]
)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\}|)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Instruction:
    """One instruction: `name` in capitals, `value` as written, `line` where it begins (from 1)."""

    line: int
    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name} {self.value}"


def parse(text: str) -> tuple[Instruction, ...]:
    """Read a Dockerfile.

    Raises:
        DockerfileError: an instruction is unknown, not carried out here, empty, or a here-document.
    """
    instructions: list[Instruction] = []
    begun: tuple[int, list[str]] | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line.startswith("#") or (not line and begun is None):
            continue
        first, words = begun or (number, [])
        continued = line.endswith("\\")
        words.append(line.removesuffix("\\").strip())
        begun = (first, words) if continued else None
        if not continued:
            instructions.append(_instruction(first, " ".join(word for word in words if word)))
    if begun is not None:
        raise DockerfileError(begun[0], "the instruction ends in a backslash with no line after it.")
    return tuple(instructions)


def _instruction(line: int, text: str) -> Instruction:
    name, _, value = text.partition(" ")
    name = name.upper()
    if name not in KNOWN:
        raise DockerfileError(
            line,
            f"the instruction {name} is not carried out on one machine; use {', '.join(sorted(KNOWN))}.",
        )
    if not value.strip():
        raise DockerfileError(line, f"{name} says nothing; give it a value.")
    if name in {"RUN", "COPY"} and "<<" in value:
        raise DockerfileError(
            line, f"{name} with a here-document is not carried out; put the text in a file."
        )
    return Instruction(line, name, value.strip())


def exec_form(instruction: Instruction) -> tuple[str, ...]:
    """Return the words of a JSON array, the only form of RUN, ENTRYPOINT and CMD that is carried out.

    Raises:
        DockerfileError: the value is anything else, for instance a shell command.
    """
    try:
        words = json.loads(instruction.value)
    except ValueError:
        words = None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise DockerfileError(
            instruction.line,
            f"{instruction.name} {instruction.value!r} is not in the exec form; there is no shell here, "
            f'so write it as a JSON array of words, for instance {instruction.name} ["python", "-m", "..."].',
        )
    return tuple(words)


def words(instruction: Instruction, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Split a value into words as Docker does (quotes are removed) and replace its variables.

    Raises:
        DockerfileError: a quote is not closed, a variable has no value, or a `$` is escaped.
    """
    value = instruction.value
    if "\\$" in value or re.search(r"'[^']*\$[^']*'", value):
        raise DockerfileError(
            instruction.line, "a literal $ is not carried out; put the value into an ARG or a file."
        )
    try:
        parts = shlex.split(value)
    except ValueError as error:
        raise DockerfileError(instruction.line, f"{value!r} cannot be split into words: {error}.") from error
    return tuple(expand(part, variables, instruction.line) for part in parts)


def expand(text: str, variables: Mapping[str, str], line: int) -> str:
    """Replace `$NAME`, `${NAME}` and `${NAME:-default}`.

    Raises:
        DockerfileError: a variable has neither value nor default.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match[1] or match[2], match[3]
        if name is None:
            raise DockerfileError(line, f"{text!r} holds a $ that begins no variable; write ${{NAME}}.")
        if found := variables.get(name):
            return found
        if default is not None:
            return default
        if name in variables:
            return ""
        raise DockerfileError(
            line,
            f"the variable {name} has no value; declare it with ARG or ENV, or pass it as a build argument.",
        )

    return _VARIABLE.sub(value, text)


def pairs(instruction: Instruction, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the `name=value` pairs of ENV or LABEL.

    Raises:
        DockerfileError: a word has no `=`.
    """
    result: dict[str, str] = {}
    for word in words(instruction, variables):
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise DockerfileError(
                instruction.line, f"{instruction.name} {word!r} is not of the form name=value."
            )
        result[name] = value
    return result


def argument(instruction: Instruction) -> tuple[str, str | None]:
    """Return name and default (None without one) of an ARG.

    Raises:
        DockerfileError: the name is not a variable's name.
    """
    name, sign, default = instruction.value.partition("=")
    if not _NAME.fullmatch(name):
        raise DockerfileError(
            instruction.line, f"ARG {instruction.value!r} names no variable; write one NAME or NAME=default."
        )
    if default[:1] in {'"', "'"} and default[-1:] == default[:1] and len(default) > 1:
        default = default[1:-1]
    return name, default if sign else None
