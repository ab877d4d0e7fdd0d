"""Finding and resolving images, and noticing damage."""

import fcntl
import shutil
import threading
from pathlib import Path

import pytest

from local.images import ImageBuild, UnknownImageError

TEXT = "FROM python:3.11\nCOPY a.txt /app/a.txt\n"


@pytest.fixture
def built(workshop):
    workshop.write({"a.txt": "a"})
    order = workshop.order(TEXT, ("local/a:1", "local/a:2"))
    return order, workshop.store.build(order, log=workshop.log.append)


def test_resolves_tags_and_digests(workshop, built):
    _, image = built
    for ref in ("local/a:1", "local/a:2", f"local/a@{image.digest}", image.ref("local/a:1")):
        assert workshop.store.resolve(ref) == image
    for ref in ("local/a:3", "local/a", "a:1", f"local/a@sha256:{'0' * 64}"):
        with pytest.raises(UnknownImageError, match="run `up`"):
            workshop.store.resolve(ref)


def test_is_found_only_under_all_of_its_tags(workshop, built):
    order, image = built
    other = ImageBuild(order.context, order.dockerfile, {}, ("local/b:1",))
    assert workshop.store.find(order) == image
    assert workshop.store.find(other) is None
    workshop.log.clear()
    assert workshop.store.build(other, log=workshop.log.append) == image
    assert workshop.log == []
    assert workshop.store.find(other) == image


def test_is_not_found_before_its_base_is_built(workshop):
    assert workshop.store.find(workshop.order("FROM local/base:1\n")) is None


def _edit(folder: Path) -> None:
    file = folder / "rootfs/app/a.txt"
    file.chmod(0o644)
    file.write_text("b")


def _edit_record(folder: Path) -> None:
    file = folder / "image.json"
    file.chmod(0o644)
    file.write_text(file.read_text().replace('"workdir": "/"', '"workdir": "/x"'))


@pytest.mark.parametrize(
    "damage",
    [
        _edit,
        _edit_record,
        shutil.rmtree,
        lambda folder: (folder / "rootfs/app/a.txt").unlink(),
        lambda folder: (folder / "rootfs/app/more.txt").write_text("x"),
        lambda folder: (folder / "image.json").unlink(),
        lambda folder: (folder / "image.json").rename(folder / "rootfs/app/image.json"),
        lambda folder: shutil.rmtree(folder.parent.parent / "environments"),
    ],
)
def test_damage_is_noticed_and_built_again_into_the_same_digest(workshop, built, damage):
    order, image = built
    damage(image.folder)
    assert workshop.store.find(order) is None
    with pytest.raises(UnknownImageError, match="missing or was changed"):
        workshop.store.resolve("local/a:1")
    assert workshop.store.build(order, log=workshop.log.append) == image
    assert workshop.store.resolve("local/a:1") == image
    assert (image.rootfs / "app/a.txt").read_text() == "a"


def test_a_file_edited_while_its_image_is_built_is_built_again(workshop):
    workshop.write({"a.txt": "a"})
    order = workshop.order(TEXT, ("local/a:1",))

    def edit_meanwhile(_: str) -> None:
        workshop.write({"a.txt": "edited"})

    workshop.store.build(order, log=edit_meanwhile)
    workshop.write({"a.txt": "a"})
    assert workshop.store.find(order) is None
    assert (workshop.store.build(order, log=workshop.log.append).rootfs / "app/a.txt").read_text() == "a"


def test_without_its_index_all_is_built_again(workshop, built):
    order, image = built
    (workshop.home.images / "index.json").write_text("{")
    assert workshop.store.find(order) is None
    assert workshop.store.build(order, log=workshop.log.append) == image


def test_builds_wait_for_one_another(workshop):
    workshop.home.images.mkdir(parents=True)
    waits = threading.Event()
    with (workshop.home.images / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        order = workshop.order("FROM python:3.11\n")
        thread = threading.Thread(target=lambda: workshop.store.build(order, log=lambda _: waits.set()))
        thread.start()
        assert waits.wait(10)
        assert workshop.store.find(order) is None
    thread.join(20)
    assert workshop.store.find(order) is not None
