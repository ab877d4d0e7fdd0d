"""What the docs show is taken by the program and the shell; the keys, commands and links they name exist."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from components.catalog import Catalog
from components.errors import SettingsError
from components.settings import parse_settings

from .conftest import ROOT

DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
# The tutorial's blocks name versions that it makes; tests/e2e/test_tutorial.py runs it whole.
YAML = [
    block
    for page in DOCS
    if page.name != "tutorial.md"
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
]
BLOCKS = [block for block in YAML if block.startswith("tts:")]
STACKS = [block for block in YAML if block.startswith("config:")]
NOW = datetime(2026, 11, 25, tzinfo=UTC)
SCHEMA = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
GONE = {"tts:graceSeconds"}  # named where the changelog of a decision says what took its place


def stack(block: str) -> dict[str, object]:
    dev = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    return {**dev, "tts:modelVersion": "1.0.0", **yaml.safe_load(block)}


def unknown_keys(text: str) -> set[str]:
    """The settings that a text names and the project does not have; `tts:server:...` is a resource's type."""
    return set(re.findall(r"\btts:[a-zA-Z]+\b(?!:)", text)) - set(SCHEMA) - GONE


def commands(text: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def unknown_commands(text: str) -> set[str]:
    """The words after `make` in a page's blocks of commands and in its backquotes that no target has."""
    code = [*commands(text), *re.findall(r"`([^`\n]+)`", text)]
    words = re.findall(r"^make ((?:[a-z-]+ ?)+)", "\n".join(code), re.MULTILINE)
    return {word for line in words for word in line.split()} - TARGETS


def broken_links(page: Path, text: str) -> set[str]:
    """The relative links of a page that lead to no file, or to no heading of one."""
    broken = set()
    prose = re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in link:
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (heading and heading not in headings(target.read_text())):
            broken.add(link)
    return broken


def headings(text: str) -> set[str]:
    """The headings of a page as links name them."""
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split(":", 2)[1])
def test_a_block_of_the_docs_is_accepted(block: str) -> None:
    settings = parse_settings(stack(block), Catalog(ROOT / "models"), now=NOW)
    assert settings.stable.entry.version == "1.0.0"


@pytest.mark.parametrize("block", STACKS)
def test_a_whole_stack_of_the_docs_is_accepted(block: str) -> None:
    config = yaml.safe_load(block)["config"]
    assert parse_settings(config, Catalog(ROOT / "models"), now=NOW).stable.entry.version == "1.0.0"


def test_the_docs_show_blocks_and_a_wrong_one_would_be_seen() -> None:
    assert len(BLOCKS) >= 8
    assert len(STACKS) >= 3
    with pytest.raises(SettingsError, match="canary"):
        parse_settings(stack("tts:canary: {version: 7.7.7, weight: 10}"), Catalog(ROOT / "models"), now=NOW)


@pytest.mark.parametrize("block", [block for page in DOCS for block in commands(page.read_text())])
def test_a_block_of_commands_is_one_that_a_shell_reads(block: str) -> None:
    assert shell_refuses(block) == ""


def shell_refuses(block: str) -> str:
    return subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_keys_commands_and_links_of_a_page_exist(page: Path) -> None:
    text = page.read_text()
    assert unknown_keys(text) == set()
    assert unknown_commands(text) == set()
    assert broken_links(page, text) == set()


def test_a_block_that_no_shell_reads_would_be_seen() -> None:
    assert "syntax error" in shell_refuses("for node in a; do echo\n")


def test_a_wrong_key_command_or_link_would_be_seen() -> None:
    assert unknown_keys("set `tts:namespase`, `tts:network.policy` or the type tts:route:WeightedRoute") == {
        "tts:namespase"
    }
    assert unknown_commands("```sh\nmake preveiw $at\nmake up   # make sure\n```\n`make format lnit`") == {
        "preveiw",
        "lnit",
    }
    page = ROOT / "docs" / "scale.md"
    assert broken_links(page, "[a](contracts.md) [b](gone.md) [c](#the-adapter) [d](#none)") == {
        "gone.md",
        "#none",
    }
