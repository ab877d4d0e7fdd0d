"""The objects of a stack as files for a deploy repository: `make render`. No cluster is asked or touched."""

from __future__ import annotations

import copy
import shutil
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from local.engine.cluster import Manifest
from local.engine.errors import EngineError
from local.engine.properties import has_unknown
from local.engine.report import Report
from local.engine.steps import MARKS, Action, Wanted

HEAD = "# Rendered by `make render` from the stack's config: change that, not this file.\n"
_WAVE = "argocd.argoproj.io/sync-wave"


@dataclass
class Rendering:
    """The manifests of one stack during one run: those for the folder, and the Applications that watch it.

    `before` is what the folder held: what the program does not change once it exists is taken from there.
    Used from several threads.
    """

    before: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    manifests: list[Manifest] = field(default_factory=list)
    applications: list[Manifest] = field(default_factory=list)
    elsewhere: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    @property
    def preview(self) -> bool:
        """Nothing is made: what Pulumi alone can bring about stays unknown."""
        return True

    def prepare(self, manifest: Manifest, *, urn: str, namespace: str) -> Manifest:  # noqa: ARG002
        """Return a copy: Argo CD has marks of its own, and every object names its namespace itself."""
        return copy.deepcopy(manifest)

    def leave(self, kind: str, name: str) -> None:  # noqa: ARG002
        """Pass over what is no object of Kubernetes: `pulumi up` makes it."""
        with self._lock:
            self.elsewhere += 1

    def bring(self, wanted: Wanted) -> Manifest:
        """Keep one manifest. Raises EngineError for what may not, or cannot, be written to a file."""
        name = f"{wanted.manifest['kind']} {wanted.manifest['metadata']['name']}"
        if wanted.secret or wanted.manifest["kind"] == "Secret":
            raise EngineError(
                f"{name} holds a secret, which would be written in clear: make it in the cluster and name it."
            )
        if has_unknown(wanted.manifest):
            raise EngineError(
                f"{name} holds what only Pulumi can know, of something that it makes: write its value into "
                "the config."
            )
        manifest = wanted.beside(self.before.get(_key(wanted.manifest))).manifest
        with self._lock:
            (self.manifests if wanted.folder else self.applications).append(manifest)
        return manifest


def read(folder: Path) -> dict[tuple[str, str], Manifest]:
    """The manifests that the folder holds from before, by kind and name.

    Raises EngineError when something else is in it.
    """
    found = {}
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if not text.startswith(HEAD):
            raise EngineError(
                f"{path} was not rendered, and all in its folder is brought to the cluster by Argo CD: name "
                "a folder of this stack's own."
            )
        manifest = yaml.safe_load(text)
        found[_key(manifest)] = manifest
    return found


def write(folder: Path, manifests: Iterable[Manifest], report: Report) -> None:
    """Make the folder hold these manifests, one a file, and nothing else; tell what changes in it."""
    files = {_file(manifest): HEAD + _text(manifest) for manifest in manifests}
    known = (
        {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*")} if folder.is_dir() else {}
    )
    for name in sorted(files.keys() | known.keys()):
        action = _change(known.get(name), files.get(name))
        if action is not None:
            report.step(MARKS[action], f"{folder.name}/{name}: {action.value}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".render-") as place:
        made = Path(place, "new")
        made.mkdir()
        for name, text in files.items():
            (made / name).write_text(text, encoding="utf-8")
        if folder.exists():
            folder.rename(Path(place, "old"))
        shutil.move(made, folder)


def write_application(folder: Path, manifest: Manifest, report: Report) -> None:
    """Write the Application beside the folder that it watches: it is no part of what it brings."""
    path = folder.parent / f"{manifest['metadata']['name']}.application.yaml"
    text = HEAD + _text(manifest)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        report.step(MARKS[Action.UPDATE if path.exists() else Action.CREATE], f"{path.name}: written")
    path.write_text(text, encoding="utf-8")


def _change(old: str | None, new: str | None) -> Action | None:
    if old is None:
        return Action.CREATE
    if new is None:
        return Action.DELETE
    return None if old == new else Action.UPDATE


def _key(manifest: Manifest) -> tuple[str, str]:
    return str(manifest["kind"]), str(manifest["metadata"]["name"])


def _file(manifest: Manifest) -> str:
    """Named so that a listing shows the waves in their order."""
    wave = int(manifest["metadata"].get("annotations", {}).get(_WAVE, 0))
    kind, name = _key(manifest)
    return f"{wave + 5:02d}-{kind.lower()}-{name}.yaml"


def _text(manifest: Manifest) -> str:
    return yaml.safe_dump(manifest, sort_keys=True, allow_unicode=True, width=120)
