"""How a version is registered: measured and heard first, written last, all of it or nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.engine.config import load, write_version
from local.engine.report import Report
from local.engine.target import Target
from local.home import Home
from local.images.environment import Environments
from local.register import catalog
from local.register.entry import (
    MOST_BUDGET_SECONDS,
    Measured,
    artifact,
    draft,
    finished,
    said_by,
    written,
)
from local.register.errors import RegisterError
from local.register.files import DESCRIPTION, ModelFile, read_files
from local.register.record import Origin, closing, gate_page, measured_sentence, this_machine
from local.register.server import running
from local.upload import engine_requirements, object_store, put

PASSED, REFUSED = 0, 42
Python = Callable[[tuple[str, ...]], Path]
"""The Python of an environment with what these requirement files name."""


@dataclass(frozen=True)
class Request:
    """What is to be registered as which version; `edit`: whether the stack's config is to say it, too."""

    folder: Path
    model: str
    version: str
    edit: bool = False

    @property
    def name(self) -> str:
        """For sentences and folders."""
        return f"{self.model} {self.version}"


def register(
    request: Request, target: Target, home: Home, report: Report, *, python: Python | None = None
) -> None:
    """Make the version and say where it is; `python` for tests.

    Raises:
        LocalError: it cannot be registered. Nothing of it is left but, after a refusal, its samples.
    """
    root = target.root
    catalog.refuse_name(root, request.model, request.version)
    config = load(root, target.stack, target.overrides)
    if request.edit and config.get("model") != request.model:
        raise RegisterError(
            f"Pulumi.{target.stack}.yaml serves {config.get('model') or 'nothing'}, not {request.model}: "
            "name another STACK, or none to leave all configs alone."
        )
    place = object_store(config.get("objectStore"))
    before = catalog.before(root, request.model)
    said, patterns = _said(request.folder)
    report.step(".", f"{request.name}: reads {request.folder}")
    files = read_files(request.folder, patterns)
    with _staging(home) as staging:
        made = _Making(request, root, staging, report, python or _environments(home, report))
        artifacts = [artifact(file, f"{_source(request, place)}/{file.path}") for file in files]
        entry = draft(request.model, request.version, said, before.document, artifacts=artifacts)
        measured, heard = made.listen(entry, home)
        entry = finished(entry, said, before.document, measured)
        origin = Origin(str(request.folder), this_machine(), datetime.now(UTC))
        comment = [origin.sentence, measured_sentence(measured)]
        path = made.write(entry, comment)
        made.told()
        page = gate_page(request.name, origin, measured, heard, before.document)
        (staging / "gate" / "gate.md").write_text(page, encoding="utf-8")
        if place:
            report.step(".", f"{request.name}: uploads {len(files)} files")
            if put(root, path, place, request.folder):
                raise RegisterError(
                    f"{request.name} was not uploaded, for the reason above: nothing was registered."
                )
        edited = made.settle(path, files if not place else (), target if request.edit else None)
    shown = f"models/{request.model}/{request.version}"
    where = _source(request, place) if place else ""
    for line in closing(
        f"{shown}.yaml", shown, uploaded=where, edited=edited, model=request.model, version=request.version
    ):
        report.say(line)


@dataclass(frozen=True)
class _Making:
    """One registration under way: all it makes is in `staging` until `settle`."""

    request: Request
    root: Path
    staging: Path
    report: Report
    python: Python

    def write(self, entry: Mapping[str, Any], comment: list[str]) -> Path:
        """The entry in a catalog of its own, where nobody serves it."""
        folder = self.staging / "models" / self.request.model
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.request.version}.yaml"
        path.write_text(written(entry, comment), encoding="utf-8")
        return path

    def told(self) -> dict[str, Any]:
        """What servers and release would be told of it. Raises RegisterError with the entry's mistakes."""
        models = self.staging / "models"
        try:
            return catalog.told(self.root, models, self.request.model, self.request.version)
        except RegisterError as error:
            hint = (
                f"What no entry before says, {self.request.folder / DESCRIPTION} does: see docs/register.md."
            )
            raise RegisterError(str(error), hint) from None

    def listen(self, entry: Mapping[str, Any], home: Home) -> tuple[Measured, dict[str, Any]]:
        """A server of the files as they are speaks the gate's texts. Raises RegisterError for a refusal."""
        self.write(entry, ["A draft."])
        told, out = self.told(), self.staging / "gate"
        plan = self.staging / "plan.json"
        plan.write_text(json.dumps(told["plan"]), encoding="utf-8")
        server = self.python(engine_requirements(self.root, str(entry["engine"])))
        ears = self.python(((self.root / "release/requirements.txt").read_text(encoding="utf-8"),))
        self.report.step(".", f"{self.request.name}: loads")
        with running(
            server,
            self.root,
            told["inference"],
            self.request.folder,
            folder=self.staging,
            seconds=MOST_BUDGET_SECONDS,
        ) as live:
            self.report.step(
                ".", f"{self.request.name}: ready after {live.load_seconds:.1f} s, is listened to"
            )
            words = [str(ears), "-m", "release", "hear", str(plan), live.address, str(out)]
            done = subprocess.run(words, cwd=self.root, capture_output=True, text=True, check=False)
            memory = live.memory_bytes if done.returncode in (PASSED, REFUSED) else 0
        if done.returncode not in (PASSED, REFUSED):
            raise RegisterError(f"{self.request.name} could not be listened to: {done.stderr.strip()}")
        heard: dict[str, Any] = json.loads((out / "heard.json").read_text(encoding="utf-8"))
        for line in heard["table"]:
            self.report.say(line)
        if done.returncode == REFUSED:
            kept = _keep(out, home.root / "refused" / f"{self.request.model}-{self.request.version}")
            raise RegisterError(
                f"{self.request.name} did not pass its gate, and was not registered.",
                *done.stderr.strip().splitlines(),
                f"What it spoke is in {kept}.",
            )
        return Measured(live.load_seconds, memory, heard["charactersPerSecond"]), heard

    def settle(self, entry: Path, files: tuple[ModelFile, ...], edited: Target | None) -> str:
        """Put all of it where it belongs, the entry last; what a failure leaves is taken away again. Returns
        what was edited, in a sentence."""
        model = self.root / "models" / self.request.model
        folder, path = model / self.request.version, model / entry.name
        for file in files:
            kept = self.staging / "gate" / "files" / file.path
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.request.folder / file.path, kept)
        (self.staging / "gate" / "heard.json").unlink()
        model.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copytree(self.staging / "gate", folder)
            shutil.copyfile(entry, path)
            if edited is None:
                return ""
            old = write_version(self.root, edited.stack, self.request.version)
            return f"Pulumi.{edited.stack}.yaml: tts:modelVersion {old} => {self.request.version}"
        except BaseException:
            path.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _said(folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    path = folder / DESCRIPTION
    try:
        return said_by(path.read_text(encoding="utf-8"), str(path)) if path.is_file() else ({}, ())
    except (OSError, UnicodeDecodeError) as error:
        raise RegisterError(f"{path} cannot be read: {error}.") from None


def _source(request: Request, place: Mapping[str, Any]) -> str:
    """Below what images and servers will take the files from."""
    if not place:
        return f"file:{request.version}/files"
    prefix = f"{place['prefix'].strip('/')}/" if place.get("prefix") else ""
    return f"s3://{place['bucket']}/{prefix}{request.model}/{request.version}"


def _environments(home: Home, report: Report) -> Python:
    environments = Environments(home.environments)
    return lambda texts: environments.ensure(texts, log=lambda line: report.step(".", line)).python


@contextmanager
def _staging(home: Home) -> Iterator[Path]:
    """A folder that is gone afterwards, however it ends but by SIGKILL; no part of the checkout."""
    home.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="register-", dir=home.root) as folder:
        yield Path(folder)


def _keep(samples: Path, place: Path) -> Path:
    """Moves the samples of a refused version where a person can hear them, in place of earlier ones."""
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    os.rename(samples, place)  # noqa: PTH104 - within one folder
    return place
