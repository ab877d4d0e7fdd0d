"""Each alert leads to a page of what to do, and each page belongs to an alert."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.watched import Watched, rule_groups
from tests.components.conftest import ROOT
from tests.monitoring.watched import EVERYTHING, RUNBOOKS, alerts, watched

FOLDER = ROOT / "docs" / "runbooks"
PAGES = {path.stem: path.read_text() for path in FOLDER.glob("*.md")}


@pytest.fixture(scope="module")
def stack(folder: Path) -> Watched:
    return watched(folder, EVERYTHING)


def test_each_alert_has_its_page_and_each_page_its_alert(stack: Watched) -> None:
    assert {alert.page: f"# {alert.name}" for alert in alerts(stack)} == {
        page: text.partition("\n")[0] for page, text in PAGES.items()
    }


def test_the_link_of_an_alert_is_its_page(stack: Watched) -> None:
    rules = [rule for group in rule_groups(stack, "hibari", alerts(stack)) for rule in group["rules"]]
    for rule in rules:
        base, _, page = rule["annotations"]["runbook_url"].rpartition("/")
        assert base == RUNBOOKS
        assert PAGES[page.removesuffix(".md")].startswith(f"# {rule['alert']}\n")


def test_a_page_says_what_to_look_at_and_what_to_do() -> None:
    for page, text in PAGES.items():
        assert "**Look**" in text, page
        assert "**Do" in text, page
        assert re.search(r"```sh\n(.|\n)*?(kubectl|curl)", text), page
        assert len(text.splitlines()) < 40, page


def test_the_docs_list_each_alert_with_its_severity_and_its_page(stack: Watched) -> None:
    listed = re.findall(
        r"^\| \[(\w+)\]\(runbooks/([\w-]+)\.md\) \| .* \| (\w+) \|$",
        (ROOT / "docs" / "monitoring.md").read_text(),
        re.MULTILINE,
    )
    assert sorted(listed) == sorted({(alert.name, alert.page, alert.severity) for alert in alerts(stack)})


def test_sentences_are_for_people(stack: Watched) -> None:
    for alert in alerts(stack):
        assert "hibari in tts" in alert.description
        assert alert.description.endswith(".")
        assert not alert.summary.endswith(".")
        assert alert.description.count(". ") >= 1, "what is wrong, and what to do"
