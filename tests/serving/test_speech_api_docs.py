"""docs/speech-api.md is what the server does: its examples run against one, its tables are the code's."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.bodies import TEXT
from serving.encoding import FORMATS
from serving.keys import hash_of
from serving.limits import limits_of
from serving.speech import MAX_CHARACTERS, MAX_PRONUNCIATIONS, MAX_WORD_CHARACTERS, SpeechRequest
from tests.serving.conftest import ROOT, Running, Start, inference

PAGE = (ROOT / "docs" / "speech-api.md").read_text()
SOURCES = [path.read_text() for path in sorted((ROOT / "serving").glob("**/*.py"))]
KEY = "a-key-of-the-docs"
HEADER = re.compile(r"x-tts-[a-z-]+|x-request-id")
ASKED_BY_RELEASES = {"x-tts-probe", "x-tts-keep", "x-tts-answered-by"}
USUAL_STATUS = {"RequestError": 400, "_refusal": 429}
"""Of calls that say a code and no status."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def column(page: str, head: str, *, width: int = 1) -> list[tuple[str, ...]]:
    """The first cells of each row of the table whose head begins so."""
    table = page[page.index(f"| {head} |") :].partition("\n\n")[0].splitlines()[2:]
    return [tuple(cell.strip() for cell in line.split("|")[1 : width + 1]) for line in table]


def codes_of_docs(page: str) -> set[tuple[int, str]]:
    rows = column(page, "status", width=2)
    return {(int(status), code.strip("`")) for status, code in rows if code != "null"}


def codes_of(source: str) -> Iterator[tuple[int, str]]:
    """Status and code of each call that says a code."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        said = {word.arg: word.value for word in node.keywords}
        code, status = said.get("code"), said.get("status", next(iter(node.args), None))
        if isinstance(code, ast.Constant) and isinstance(code.value, str):
            number = status.value if isinstance(status, ast.Constant) else None
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield number if isinstance(number, int) else USUAL_STATUS[name], code.value


@pytest.fixture(scope="module")
def kept(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """A server as in the docs: with keys, records and a list of versions."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "keys").write_text(f"ada {hash_of(KEY)}\n")
    version = {"version": "1.0.0", "revision": "hibari-1-0-0-abcdef", "role": "stable", "weight": 100}
    (folder / "versions").write_text(json.dumps([version]))
    store = {"prefix": "", "outputs": True, "records": {"days": 30}}
    running = start(
        config=inference("1.0.0", store=store),
        TTS_STORE_DIR=str(folder / "store"),
        TTS_API_KEYS=str(folder / "keys"),
        TTS_VERSIONS=str(folder / "versions"),
    )
    running.wait_ready()
    return running


def test_the_examples_run(
    kept: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exports, *commands = [block for block in blocks("sh") if "$TTS" in block or "TTS=" in block]
    assert exports.count("export ") == 2
    monkeypatch.setenv("TTS", kept.url)
    monkeypatch.setenv("TTS_API_KEY", KEY)
    done = subprocess.run(
        ["bash", "-e"], input="\n".join(commands), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"role":"stable"' in done.stdout
    for block in blocks("python"):
        exec(compile(block, "speech-api.md", "exec"), {})
    said = capsys.readouterr().out
    assert "s of audio" in said
    assert "'output_tokens'" in said
    assert "busy" not in said
    made = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert made.keys() == set(re.findall(r"(?:-o |to_file\(\")([a-z]+\.[a-z0-9]+)", PAGE))
    assert all(size > 8000 for size in made.values()), made
    assert (tmp_path / "harbour.wav").read_bytes()[:4] == b"RIFF"


def test_every_error_stands_in_the_table_with_its_status() -> None:
    said = {found for source in SOURCES for found in codes_of(source)}
    assert codes_of_docs(PAGE) == said
    assert len(said) >= 10
    assert codes_of_docs(PAGE.replace("`queue_full`", "`queue_fool`")) != said


def test_the_headers_formats_and_fields_are_those_of_the_code() -> None:
    sent = {
        name for source in SOURCES for name in re.findall(r'"([a-z-]+)"', source) if HEADER.fullmatch(name)
    }
    listed = {name for (cell,) in column(PAGE, "header of an answer") for name in HEADER.findall(cell)}
    assert listed == sent - ASKED_BY_RELEASES
    assert set(HEADER.findall(PAGE)) == listed
    formats = {
        tuple(cell.strip("`") for cell in row)
        for row in column(PAGE, "`response_format` | content type", width=2)
    }
    assert formats == {(name, each.media_type) for name, each in FORMATS.items()}
    fields = {cell.strip("`") for (cell,) in column(PAGE, "field")}
    assert fields == set(SpeechRequest.model_fields)


def test_the_bounds_are_those_of_the_code() -> None:
    usual = limits_of(1)
    for sentence in (
        f"at most {MAX_CHARACTERS} characters",
        f"more than {MAX_CHARACTERS} characters",
        f"At most {MAX_PRONUNCIATIONS} words of {MAX_WORD_CHARACTERS} characters",
        f"a body of more than {TEXT.size // 1024} KiB",
        f"answers {usual.streams} requests a slot at once and lets {usual.queue} more wait, for at most "
        f"{usual.wait_seconds:g} s",
    ):
        assert sentence in PAGE
