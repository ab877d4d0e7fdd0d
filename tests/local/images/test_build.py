"""Each instruction carried out, and what a build leaves behind."""

import json
import stat
import subprocess

import pytest

from local.images import DockerfileError, ImageError, UnknownImageError
from local.images.tree import SEALED_MTIME

BASE = "FROM python:3.11-slim\n"


def test_every_instruction_reaches_the_image(workshop):
    workshop.write({"app/main.py": "print('hello')\n", "one.txt": "1", "two.txt": "2"})
    image = workshop.build(
        "ARG TAG=3.11\n"
        "ARG UNUSED=x\n"
        "FROM --platform=linux/amd64 python:${TAG}-slim\n"
        "ARG NAME=tts\n"
        "WORKDIR /srv\n"
        "WORKDIR app\n"
        'ENV A="one two" B=$NAME\n'
        "ENV C=${A}-${B}\n"
        "LABEL org.title='My image' version=${NAME}\n"
        "COPY --chown=1:1 --link app .\n"
        "COPY *.txt /texts/\n"
        "COPY --chmod=755 one.txt /bin/tool\n"
        "EXPOSE 8080\n"
        "USER 65532\n"
        'CMD ["dropped"]\n'
        'ENTRYPOINT ["python", "-m"]\n'
        'CMD ["main"]\n',
        NAME="speech",
    )
    config = image.config
    assert config.env == {"A": "one two", "B": "speech", "C": "one two-speech"}
    assert config.labels == {"org.title": "My image", "version": "speech"}
    assert (config.workdir, config.user) == ("/srv/app", "65532")
    assert config.command == image.command == ("python", "-m", "main")
    files = sorted(
        path.relative_to(image.rootfs).as_posix() for path in image.rootfs.rglob("*") if path.is_file()
    )
    assert files == ["bin/tool", "srv/app/main.py", "texts/one.txt", "texts/two.txt"]
    assert stat.S_IMODE((image.rootfs / "bin/tool").stat().st_mode) == 0o555
    assert stat.S_IMODE((image.rootfs / "texts/one.txt").stat().st_mode) == 0o444


def test_an_entrypoint_drops_the_command_of_its_base(workshop):
    workshop.build(BASE + 'CMD ["a"]\n', ("local/base:1",))
    assert workshop.build("FROM local/base:1\n").command == ("a",)
    assert workshop.build('FROM local/base:1\nENTRYPOINT ["b"]\n').command == ("b",)


def test_run_works_inside_the_image_with_its_python(workshop, monkeypatch):
    script = (
        "import os, sys, pathlib\n"
        "out, source = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2].removeprefix('--in='))\n"
        "out.mkdir(parents=True)\n"
        "(out / 'said').write_text(source.read_text() + os.environ['WHO'])\n"
        "print(os.getcwd())\n"
        "assert 'SECRET' not in os.environ\n"
    )
    workshop.write({"make/__init__.py": "", "make/it.py": script, "in.txt": "hello "})
    monkeypatch.setenv("SECRET", "x")
    image = workshop.build(
        BASE + "WORKDIR /app\nARG WHO=you\nCOPY make make\nCOPY in.txt /data/in.txt\n"
        'RUN ["python", "-m", "make.it", "/out/deep", "--in=/data/in.txt"]\n'
    )
    assert (image.rootfs / "out/deep/said").read_text() == "hello you"
    assert "/app" in workshop.log
    assert not list(image.rootfs.rglob("__pycache__"))


def test_stages_hand_files_on_and_the_image_holds_the_last_one_only(workshop):
    workshop.write({"in.txt": "x"})
    image = workshop.build(
        f"{BASE.strip()} AS first\nCOPY in.txt /a/in.txt\nENV FROM_FIRST=1\n"
        "FROM first AS second\nWORKDIR /w\n"
        "FROM python:3.11\nCOPY --from=first /a /one/\nCOPY --from=1 /a/in.txt /two\n"
    )
    files = {path.relative_to(image.rootfs).as_posix() for path in image.rootfs.rglob("*") if path.is_file()}
    assert files == {"one/in.txt", "two"}
    assert image.config.env == {}


def test_equal_inputs_give_equal_digests_in_two_homes(new_workshop):
    digests = []
    for name in ("one", "two"):
        workshop = new_workshop(name)
        workshop.write({"app/b.py": "b", "app/a.py": "a"})
        made = BASE + 'COPY app /app\nRUN ["python", "-c", "open(\'made\', \'w\').write(\'x\')"]\nCMD ["x"]\n'
        digests.append(workshop.build(made).digest)
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda shop: shop.write({"app/a.py": "edited"}),
        lambda shop: shop.write({"app/new.py": "a"}),
        lambda shop: (shop.context / "app/a.py").chmod(0o755),
        lambda shop: (shop.context / "app/a.py").rename(shop.context / "app/b.py"),
    ],
)
def test_a_changed_file_changes_the_digest_and_is_not_found(workshop, change):
    workshop.write({"app/a.py": "a", "other.txt": "x"})
    order = workshop.order(BASE + "COPY app /app\n")
    before = workshop.store.build(order, log=workshop.log.append)
    workshop.write({"other.txt": "not copied"})
    assert workshop.store.find(order) == before
    change(workshop)
    assert workshop.store.find(order) is None
    assert workshop.store.build(order, log=workshop.log.append).digest != before.digest


def test_configuration_changes_the_digest(workshop):
    lines = ["", "ENV A=1\n", "LABEL a=1\n", "USER 1\n", "WORKDIR /x\n", 'CMD ["a"]\n', 'ENTRYPOINT ["a"]\n']
    assert len({workshop.build(BASE + line).digest for line in lines}) == len(lines)


def test_a_failing_run_leaves_nothing_behind(workshop):
    workshop.write({"a.txt": "a"})
    order = workshop.order(
        BASE
        + "COPY a.txt /a\n"
        + 'RUN ["python", "-c", "print(\'so far\'); raise SystemExit(\'no luck\')"]\n',
        ("x:1",),
    )
    with pytest.raises(DockerfileError, match=r"(?s)line 3: RUN .* ended with status 1.\nso far\nno luck"):
        workshop.store.build(order, log=workshop.log.append)
    assert {path.name for path in workshop.home.images.iterdir()} == {".lock"}
    assert workshop.store.find(order) is None
    with pytest.raises(UnknownImageError):
        workshop.store.resolve("x:1")


def test_a_killed_build_is_cleared_by_the_next(workshop):
    for folder in (workshop.home.images, workshop.home.environments):
        (folder / ".build-killed" / "stage-0").mkdir(parents=True)
    image = workshop.build(BASE)
    assert {path.name for path in workshop.home.images.iterdir()} == {
        ".lock",
        "index.json",
        image.folder.name,
    }
    assert len(list(workshop.home.environments.iterdir())) == 1


def test_an_image_is_sealed_and_shares_files_with_its_base(workshop):
    workshop.write({"big.bin": "x" * 1000, "b.txt": "b"})
    base = workshop.build(BASE + "COPY big.bin /big.bin\n", ("local/base:1",))
    image = workshop.build("ARG BASE\nFROM ${BASE}\nCOPY b.txt /b.txt\n", BASE=base.ref("local/base:1"))
    shared = image.rootfs / "big.bin"
    assert shared.stat().st_ino == (base.rootfs / "big.bin").stat().st_ino
    assert shared.stat().st_mtime == SEALED_MTIME
    assert not any(path.stat().st_mode & 0o222 for path in image.folder.rglob("*") if path.is_file())
    record = json.loads((image.folder / "image.json").read_text())
    assert {"env", "workdir", "command", "python", "labels"} <= set(record)


def test_a_program_that_writes_into_base_files_does_not_reach_the_base(workshop):
    workshop.write({"a.txt": "base"})
    base = workshop.build(BASE + "COPY a.txt /a.txt\n", ("local/base:1",))
    image = workshop.build(
        "FROM local/base:1\n"
        'RUN ["python", "-c", "import sys; print(\'!\', file=open(sys.argv[1], \'a\'))", "/a.txt"]\n'
    )
    assert (image.rootfs / "a.txt").read_text() == "base!\n"
    assert workshop.store.resolve("local/base:1") == base
    assert (base.rootfs / "a.txt").read_text() == "base"


def test_links_that_a_program_leaves_are_refused(workshop):
    with pytest.raises(ImageError, match="/link is a symbolic link"):
        workshop.build(BASE + 'RUN ["python", "-c", "import os; os.symlink(\'/etc/passwd\', \'link\')"]\n')


@pytest.mark.parametrize("second", ["COPY b /t/", "COPY e /t/"])
def test_a_file_and_a_folder_do_not_replace_each_other(workshop, second):
    workshop.write({"d/b/y": "a folder b", "d/c": "a file c", "b": "a file b", "e/c/z": "a folder c"})
    with pytest.raises(DockerfileError, match="line 3: COPY to /t/ failed"):
        workshop.build(BASE + f"COPY d /t/\n{second}\n")


def test_requirements_make_one_environment_that_equal_images_share(workshop, tiny, monkeypatch):
    workshop.write({"requirements.txt": tiny, "more.txt": "# nothing more\n"})
    install = (
        BASE
        + 'WORKDIR /app\nCOPY *.txt ./\nRUN ["pip", "install", "--no-cache-dir", "-r", "requirements.txt"]\n'
    )
    image = workshop.build(install, ("local/base:1",))
    value = subprocess.run(
        [image.config.python, "-c", "import tiny; print(tiny.VALUE)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert value.stdout == "7\n"
    with monkeypatch.context() as patch:  # nothing can be installed from here on
        patch.setattr("local.images.environment.run", lambda *_, **__: pytest.fail("uv was started"))
        other = workshop.build(install + "LABEL a=b\n")
        assert other.config.python == image.config.python
        child = workshop.build('FROM local/base:1\nRUN ["python", "-c", "import tiny"]\n')
        assert child.config.python == image.config.python
    more = workshop.build(install + 'RUN ["python", "-m", "pip", "install", "-r", "/app/more.txt"]\n')
    assert more.config.python != image.config.python
    assert more.digest != image.digest


def test_requirements_may_be_all_that_is_installed(workshop, needy):
    """As with pip itself: what a package asks for must stand in the file, unless it is told otherwise."""
    workshop.write({"requirements.txt": needy})
    copy = BASE + "COPY requirements.txt /r.txt\n"
    alone = workshop.build(copy + 'RUN ["pip", "install", "--no-deps", "--require-hashes", "-r", "/r.txt"]\n')
    assert subprocess.run([alone.config.python, "-c", "import needy"], check=False).returncode == 0
    with pytest.raises(ImageError, match=r"(?is)could not be installed.*nowhere"):
        workshop.build(copy + 'RUN ["pip", "install", "--require-hashes", "-r", "/r.txt"]\n')


def test_a_build_step_may_use_pip(workshop, tiny):
    workshop.write({"requirements.txt": tiny})
    workshop.build(
        BASE + "COPY requirements.txt /r.txt\n"
        'RUN ["pip", "install", "-r", "/r.txt"]\nRUN ["python", "-m", "pip", "list"]\n'
    )
    assert any(line.split() == ["tiny", "1.0"] for line in workshop.log)


@pytest.mark.parametrize("wrong", ["tiny==1.0\n", f"tiny==1.0 --hash=sha256:{'0' * 64}\n"])
def test_requirements_without_the_right_hash_are_refused(workshop, tiny, wrong):
    workshop.write({"requirements.txt": wrong})
    with pytest.raises(ImageError, match=r"(?is)could not be installed.*hash"):
        workshop.build(BASE + 'COPY requirements.txt /r.txt\nRUN ["pip", "install", "-r", "/r.txt"]\n')
    assert list(workshop.home.environments.iterdir()) == []
