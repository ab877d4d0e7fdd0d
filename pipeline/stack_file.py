"""Which version a stack's file says, and writing another one there."""

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from pipeline.errors import PipelineError

_TAG = re.compile(r"v(?P<version>[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?)")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VERSION_LINE = re.compile(
    r"^(?P<key>[ ]+tts:modelVersion:[ ]+)(?P<value>[^\s#]+)(?P<rest>.*)$", re.MULTILINE
)
_DIGEST_LINE = re.compile(r"^[ ]+tts:imageDigest:.*\n", re.MULTILINE)


def check_tag(root: Path, tag: str, stacks: tuple[str, ...]) -> str:
    """The version that a tag names: one of the catalog, and the one that each stack's file says.

    Raises PipelineError with everything that is wrong."""
    found = _TAG.fullmatch(tag)
    if found is None:
        raise PipelineError(
            f'The tag "{tag}" names no version: write v<major>.<minor>.<patch>, such as v1.1.0.'
        )
    version = found["version"]
    wrong = []
    for stack in stacks:
        config = _config(root, stack)
        entry = root / "models" / str(config.get("tts:model")) / f"{version}.yaml"
        if not entry.is_file():
            wrong.append(
                f"{entry.relative_to(root)} does not exist: {tag} names no version of {stack}'s model."
            )
        if str(config.get("tts:modelVersion")) != version:
            wrong.append(
                f"Pulumi.{stack}.yaml says tts:modelVersion {config.get('tts:modelVersion')}, but the tag is "
                f"{tag}: merge the edit of the version first, then tag that commit."
            )
    if wrong:
        raise PipelineError(*dict.fromkeys(wrong))
    return version


def pin(root: Path, stack: str, *, version: str, digest: str) -> None:
    """Writes version and digest into the stack's file and leaves all else as it is; without a digest it takes
    one away.

    Raises PipelineError when the file has no line for the version, or there is no such version."""
    path = _path(root, stack)
    text = path.read_text()
    entry = root / "models" / str(_config(root, stack).get("tts:model")) / f"{version}.yaml"
    if not entry.is_file():
        raise PipelineError(f"{entry.relative_to(root)} does not exist: name a version of the catalog.")
    if digest and not _DIGEST.fullmatch(digest):
        raise PipelineError(f'"{digest}" is no digest: write sha256: and its 64 hexadecimal digits.')
    text = _DIGEST_LINE.sub("", text)
    line = _VERSION_LINE.search(text)
    if line is None:
        raise PipelineError(f"{path.name} has no line `tts:modelVersion: ...`: write one below `config:`.")
    indent = line["key"][: len(line["key"]) - len(line["key"].lstrip())]
    written = f"{line['key']}{version}{line['rest']}"
    if digest:
        written += f"\n{indent}tts:imageDigest: {digest}"
    path.write_text(text[: line.start()] + written + text[line.end() :])


def version_of(root: Path, stack: str) -> str:
    """The version that a stack's file says."""
    return str(_config(root, stack).get("tts:modelVersion"))


def sizes_of(root: Path, model: str, version: str) -> dict[str, tuple[str, int]]:
    """The files of a version's catalog entry; none where there is no entry any more."""
    path = root / "models" / model / f"{version}.yaml"
    if not path.is_file():
        return {}
    document = yaml.safe_load(path.read_text())
    return {each["path"]: (each["sha256"], int(each["size"])) for each in document["artifacts"]}


def gate_of(root: Path, model: str, version: str) -> tuple[str, ...]:
    """What the registration of a version has stored, below `root`: the gate's table, then the samples."""
    folder = root / "models" / model / version
    page, samples = folder / "gate.md", sorted(folder.glob("*.wav"), key=lambda path: (len(path.name), path))
    return tuple(str(path.relative_to(root)) for path in (page, *samples) if page.is_file())


def _path(root: Path, stack: str) -> Path:
    path = root / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        raise PipelineError(f"{path.name} does not exist: name another stack.")
    return path


def _config(root: Path, stack: str) -> Mapping[str, object]:
    return dict(yaml.safe_load(_path(root, stack).read_text())["config"])
