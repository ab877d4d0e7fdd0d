"""What makes a revision another revision, and what does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.catalog import Catalog
from components.errors import SourceError
from components.identity import content_hash, copied_sources, image_inputs_hash
from components.plan import release_plan
from components.revision import Revisions, identify
from components.settings import parse_settings

from .conftest import DIGEST, DOCKERFILE, NOW, ROOT, as_text, entry, write_entry

LEAST = {"tts:model": "hibari", "tts:modelVersion": "1.0.0", "tts:registry": "registry.example.com"}
Identify = Callable[..., Revisions]


def settings_of(checkout: Path, changes: dict[str, Any]) -> Any:
    config = {key: as_text(value) for key, value in (LEAST | changes).items()}
    return parse_settings(config, Catalog(checkout / "models"), now=NOW)


@pytest.fixture
def revision_of(checkout: Path) -> Identify:
    return lambda **changes: identify(
        settings_of(checkout, {f"tts:{key}": value for key, value in changes.items()}), checkout
    )


def release_of(checkout: Path, **changes: Any) -> str:
    settings = settings_of(checkout, {f"tts:{key}": value for key, value in changes.items()})
    return str(release_plan(settings, identify(settings, checkout))["release"])


def test_equal_inputs_give_the_same_names(revision_of: Identify) -> None:
    assert revision_of() == revision_of()


def test_the_order_of_keys_does_not_matter(revision_of: Identify, checkout: Path) -> None:
    before = revision_of()
    write_entry(checkout, dict(reversed(entry().items())))
    assert revision_of() == before
    assert content_hash({"a": 1, "b": {"c": 2, "d": 3}}) == content_hash({"b": {"d": 3, "c": 2}, "a": 1})


@pytest.mark.parametrize(
    "file",
    [
        "serving/server.py",
        "serving/page/index.html",
        "serving/engines/hibari/requirements.txt",
        "serving/engines/hibari/build-requirements.txt",
        "serving/engines/hibari/Dockerfile",
        "serving/engines/hibari/Dockerfile.dockerignore",
    ],
)
def test_an_edit_of_what_the_base_copies_is_a_new_revision(
    revision_of: Identify, checkout: Path, file: str
) -> None:
    before = revision_of()
    with (checkout / file).open("a") as text:
        text.write("# edited\n")
    after = revision_of()
    assert after.target.name != before.target.name
    assert after.target.base_hash != before.target.base_hash
    assert after.release_image_hash == before.release_image_hash


@pytest.mark.parametrize("file", ["serving/page/new.html", "serving/new.py"])
def test_a_new_or_renamed_file_is_a_new_revision(revision_of: Identify, checkout: Path, file: str) -> None:
    before = revision_of()
    (checkout / file).write_text("")
    assert revision_of().target.name != before.target.name


@pytest.mark.parametrize("file", ["serving/page/__pycache__/x.pyc", "serving/engines/other.py", "README.md"])
def test_an_edit_elsewhere_is_not(revision_of: Identify, checkout: Path, file: str) -> None:
    before = revision_of()
    (checkout / file).parent.mkdir(exist_ok=True)
    (checkout / file).write_text("other")
    assert revision_of() == before


def test_a_changed_limit_of_the_entry_is_a_new_revision(revision_of: Identify, checkout: Path) -> None:
    before = revision_of()
    limits = entry()["limits"] | {"charactersPerSecondTolerance": 0.2}
    write_entry(checkout, entry(limits=limits))
    assert revision_of().target.name != before.target.name
    assert revision_of().target.base_hash == before.target.base_hash


@pytest.mark.parametrize(
    "changes",
    [
        {"resources": {"memory": "1Gi"}},
        {"slots": 2},
        {"drainSeconds": 7},
        {"nodeSelector": {"pool": "quiet"}},
        {"baseImage": "python:3.12-slim-bookworm"},
        {"imageDigest": DIGEST},
        {"name": "other"},
    ],
)
def test_another_pod_is_another_revision(revision_of: Identify, changes: dict[str, Any]) -> None:
    assert revision_of(**changes).target.name != revision_of().target.name


@pytest.mark.parametrize("changes", [{"replicas": 3}, {"rollout": {"holdSeconds": 9}}, {"host": "a.example"}])
def test_what_is_no_part_of_the_pod_is_a_new_release_of_the_same_revision(
    revision_of: Identify, checkout: Path, changes: dict[str, Any]
) -> None:
    assert revision_of(**changes).target.name == revision_of().target.name
    assert release_of(checkout, **changes) != release_of(checkout)


def test_a_promoted_image_does_not_follow_the_checkout(revision_of: Identify, checkout: Path) -> None:
    before = revision_of(imageDigest=DIGEST)
    (checkout / "serving" / "server.py").write_text("edited")
    assert revision_of(imageDigest=DIGEST).target.name == before.target.name


def test_an_edit_of_the_release_is_a_new_release_of_the_same_revision(
    revision_of: Identify, checkout: Path
) -> None:
    revision, release = revision_of(), release_of(checkout)
    (checkout / "release" / "run.py").write_text("edited")
    assert revision_of().target.name == revision.target.name
    assert release_of(checkout) != release


def test_a_name_fits_a_dns_label(revision_of: Identify, checkout: Path) -> None:
    write_entry(checkout, entry("1.0.0-rc.1"))
    assert revision_of(modelVersion="1.0.0-rc.1").target.name.rpartition("-")[0] == "hibari-1-0-0-rc-1"


def test_copies_from_other_stages_are_not_read() -> None:
    assert copied_sources(DOCKERFILE) == (
        "serving/engines/hibari/requirements.txt",
        "serving/engines/hibari/build-requirements.txt",
        "serving/*.py",
        "serving/page",
    )


def test_what_is_fetched_by_its_commit_is_no_file_of_the_checkout() -> None:
    fetched = "ADD https://example.com/code.git#c5dc7ae /code\nADD --checksum=sha256:0 https://a.b/c.tar /c\n"
    assert copied_sources(f"FROM scratch\n{fetched}COPY a.txt /a\n") == ("a.txt",)


@pytest.mark.parametrize(
    "file", sorted(ROOT.glob("serving/engines/*/Dockerfile")), ids=lambda f: f.parent.name
)
def test_the_image_of_every_engine_is_made_of_what_is_here(file: Path) -> None:
    assert len(image_inputs_hash(ROOT, str(file.relative_to(ROOT)), {})) == 6


def test_a_copy_of_nothing_is_refused(checkout: Path) -> None:
    (checkout / "Dockerfile").write_text("FROM x\nCOPY nowhere /there\n")
    with pytest.raises(SourceError, match="copies nowhere, which does not exist"):
        image_inputs_hash(checkout, "Dockerfile", {})
