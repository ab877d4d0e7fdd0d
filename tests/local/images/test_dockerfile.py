"""What the interpreter reads, and what it refuses by name and line."""

import pytest

from local.images import DockerfileError, ImageError, UnknownImageError
from local.images.dockerfile import expand, parse

BASE = "FROM python:3.11-slim\n"


def test_comments_and_continued_lines_keep_the_line_they_begin_at():
    instructions = parse('# syntax=x\n\nFROM a AS b\nRUN ["python", \\\n  # why\n  "-c", "1"]\ncmd ["x"]\n')
    assert [(item.line, str(item)) for item in instructions] == [
        (3, "FROM a AS b"),
        (4, 'RUN ["python", "-c", "1"]'),
        (7, 'CMD ["x"]'),
    ]


def test_variables_take_value_default_or_are_refused():
    assert expand("$A-${B:-two}-${C:-x}", {"A": "one", "C": "three"}, 1) == "one-two-three"
    assert expand("[${A}]", {"A": ""}, 1) == "[]"
    with pytest.raises(DockerfileError, match="line 4: the variable B has no value"):
        expand("${B}", {}, 4)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (BASE + "ADD a /b", 2, "ADD is not carried out"),
        (BASE + "HEALTHCHECK NONE", 2, "HEALTHCHECK is not carried out"),
        (BASE + "\n\nVOLUME /x", 4, "VOLUME is not carried out"),
        (BASE + "RUN apt-get update", 2, "not in the exec form"),
        (BASE + "CMD python -m x", 2, "not in the exec form"),
        (BASE + "ENTRYPOINT []", 2, "not in the exec form"),
        (BASE + 'RUN ["apt-get", "update"]', 2, "'apt-get' is not carried out"),
        (BASE + 'RUN ["pip", "install", "x"]', 2, "'x' is not carried out"),
        (BASE + 'RUN ["pip", "install", "--user", "-r", "x"]', 2, "'--user' is not carried out"),
        (BASE + 'RUN ["pip", "install"]', 2, "names no requirement file"),
        (BASE + 'RUN ["pip", "freeze"]', 2, "only pip install"),
        (BASE + 'RUN ["pip", "install", "-r", "/none.txt"]', 2, "/none.txt is not in the image"),
        (BASE + "RUN <<E\nE", 2, "here-document"),
        (BASE + "COPY --parents a /b", 2, "--parents of COPY"),
        (BASE + "COPY --chmod=u+x a /b", 2, "not an octal mode"),
        (BASE + "COPY --from=none a /b", 2, "names no earlier stage"),
        (BASE + "COPY a", 2, "needs a source and a target"),
        (BASE + "COPY a b /c", 2, "needs a folder"),
        (BASE + "COPY none /b", 2, "matches no file"),
        (BASE + "COPY ../x /b", 2, "leaves the folder"),
        (BASE + "WORKDIR /a /b", 2, "exactly one word"),
        (BASE + "ENV A b", 2, "not of the form name=value"),
        (BASE + 'LABEL a="b', 2, "cannot be split"),
        (BASE + "ENV A=\\$B", 2, r"a literal \$"),
        (BASE + "ENV A=$", 2, r"a \$ that begins no variable"),
        (BASE + "ARG 1x", 2, "names no variable"),
        (BASE + "USER", 2, "says nothing"),
        (BASE + "RUN \\", 2, "ends in a backslash"),
        ("ARG BASE\nFROM ${BASE}", 2, "BASE has no value"),
        ("WORKDIR /a", 1, "before the first FROM"),
        ("FROM python:3.11 x", 1, "not of the form FROM"),
        ("# nothing", 1, "no FROM"),
    ],
)
def test_refuses_by_line(workshop, text, line, reason):
    with pytest.raises(DockerfileError, match=f"line {line}: .*{reason}"):
        workshop.build(text)


@pytest.mark.parametrize(
    "ref", ["debian:12", "python:3.12-slim", "python:3.110", "mypython:3.11", "local/x:1"]
)
def test_refuses_a_base_that_is_not_here(workshop, ref):
    with pytest.raises(
        UnknownImageError, match=f"line 2: nothing is pulled here, and the base image '{ref}'"
    ):
        workshop.build(f"\nFROM {ref}\n")


@pytest.mark.parametrize("ref", ["python:3.11", "docker.io/library/python:3.11.9-slim-bookworm"])
def test_takes_this_machines_python(workshop, ref):
    assert workshop.build(f"FROM {ref}\n").config.python.startswith(str(workshop.home.environments))


def test_refuses_a_build_argument_that_nothing_declares(workshop):
    with pytest.raises(ImageError, match="build argument BASE is declared by no ARG"):
        workshop.build(BASE, BASE="x")
