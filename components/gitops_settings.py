"""Whether a stack's objects reach the cluster by Argo CD, and from where: the setting `gitops`."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from components import checks
from components.reader import Reader

_REPOSITORY = re.compile(r"(https://|ssh://([\w.-]+@)?|file:///|[\w.-]+@[\w.-]+:)[^\s:@?#]+")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_IN_CLUSTER = "https://kubernetes.default.svc"


@dataclass(frozen=True)
class Gitops:
    """The deploy repository, the folder in it that has this stack's manifests, and its branch. `directory` is
    where that folder lies when manifests are rendered, beside this checkout; `project`, `namespace` and
    `server` are Argo CD's: its AppProject, its own namespace, and the cluster as it names it."""

    repository: str
    path: str
    revision: str
    directory: str
    project: str
    namespace: str
    server: str


def read_gitops(reader: Reader) -> Gitops | None:
    """None where `pulumi up` brings the objects to the cluster itself."""
    section = reader.section("gitops", optional=True)
    if not section.given:
        return None
    path = section.text("path", check=_below)
    gitops = Gitops(
        repository=section.text("repository", check=_repository),
        path=path,
        revision=section.text("revision", default="main", check=_revision),
        directory=section.text("directory", default=f"../deploy/{path}"),
        project=section.text("project", default="default", check=checks.dns_label),
        namespace=section.text("namespace", default="argocd", check=checks.dns_label),
        server=section.text("server", default=_IN_CLUSTER, check=checks.address),
    )
    section.finish()
    return gitops


def _repository(value: str) -> str | None:
    if _REPOSITORY.fullmatch(value):
        return None
    return (
        "which is no address of a repository: write https://<host>/<path> or git@<host>:<path>, without a "
        "password, which Argo CD keeps itself."
    )


def _revision(value: str) -> str | None:
    return None if _REVISION.fullmatch(value) else "which is no branch: write its name, such as main."


def _below(value: str) -> str | None:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or str(path) in (".", ""):
        return "which is no folder of the repository: write one such as prod, each stack its own."
    return None
