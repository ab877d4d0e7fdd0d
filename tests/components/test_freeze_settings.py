"""A freeze: what it refuses, until when, and how it is lifted aloud."""

from datetime import UTC, datetime
from typing import Any

import pytest

from components.catalog import Catalog
from components.freeze_settings import moment_of

from .conftest import read, refusals

FREEZE = {"version": "1.0.0", "until": "2027-01-07", "reason": "the holidays"}
OVERRIDE = {"by": "mara", "reason": "the old voice stutters"}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-07", datetime(2027, 1, 7, tzinfo=UTC)),
        ("2027-01-07T08:00:00Z", datetime(2027, 1, 7, 8, tzinfo=UTC)),
        ("2027-01-07T08:00:00+01:00", datetime(2027, 1, 7, 7, tzinfo=UTC)),
        ("2027-01-07T08:00:00", None),
        ("2027-13-07", None),
        ("after the holidays", None),
    ],
)
def test_a_date_or_a_time_with_its_zone_is_a_moment(text: str, moment: datetime | None) -> None:
    assert moment_of(text) == moment


def test_the_frozen_version_may_be_released_again(catalog: Catalog) -> None:
    assert read(catalog, {"tts:freeze": FREEZE}).notices == ()


def test_another_version_is_refused_until_then(catalog: Catalog) -> None:
    changes = {"tts:freeze": FREEZE, "tts:modelVersion": "1.1.0"}
    [mistake] = refusals(catalog, changes, now=datetime(2027, 1, 6, 23, 59, tzinfo=UTC))
    assert mistake == (
        'tts:modelVersion is "1.1.0", but 1.0.0 is frozen until 2027-01-07T00:00:00+00:00 (the holidays): '
        "keep 1.0.0, or lift it with tts:freeze.override: {by, reason}."
    )
    assert read(catalog, changes, now=datetime(2027, 1, 7, tzinfo=UTC)).stable.entry.version == "1.1.0"


def test_a_freeze_is_said_with_every_other_mistake(catalog: Catalog) -> None:
    mistakes = refusals(
        catalog, {"tts:freeze": FREEZE, "tts:modelVersion": "1.1.0", "tts:slots": 0, "tts:host": "no host"}
    )
    assert [mistake.partition(" ")[0] for mistake in mistakes] == [
        "tts:modelVersion",
        "tts:host",
        "tts:slots",
    ]


def test_a_canary_that_people_hear_is_another_version_too(catalog: Catalog) -> None:
    heard = {"version": "1.1.0", "weight": 1}
    [mistake] = refusals(catalog, {"tts:freeze": FREEZE, "tts:canary": heard})
    assert mistake.startswith('tts:canary.version is "1.1.0", but 1.0.0 is frozen until')


def test_copies_and_warm_versions_reach_nobody_and_are_allowed(catalog: Catalog) -> None:
    copies = {"version": "1.1.0", "mirror": True}
    read(catalog, {"tts:freeze": FREEZE, "tts:canary": copies, "tts:warmVersions": ["1.10.0"]})


def test_an_override_lets_it_through_and_is_said_aloud(catalog: Catalog) -> None:
    lifted = FREEZE | {"override": OVERRIDE}
    settings = read(catalog, {"tts:freeze": lifted, "tts:modelVersion": "1.1.0"})
    assert settings.notices == (
        "The freeze of 1.0.0 until 2027-01-07T00:00:00+00:00 (the holidays) is lifted for 1.1.0 by mara: "
        "the old voice stutters",
    )
    assert read(catalog, {"tts:freeze": lifted}).notices == ()


@pytest.mark.parametrize(
    ("freeze", "key", "sentence"),
    [
        (FREEZE | {"until": "soon"}, "freeze.until", "which is no date (2027-01-07"),
        (FREEZE | {"until": "2027-01-07T08:00:00"}, "freeze.until", "no time with its zone"),
        (FREEZE | {"until": ""}, "freeze.until", "is empty"),
        (FREEZE | {"reason": ""}, "freeze.reason", "is empty"),
        ({"version": "1.0.0", "until": "2027-01-07"}, "freeze.reason", "is missing"),
        (FREEZE | {"version": "latest"}, "freeze.version", "not what it is"),
        (FREEZE | {"override": {"by": "mara"}}, "freeze.override.reason", "is missing"),
        (FREEZE | {"override": {"reason": "because"}}, "freeze.override.by", "is missing"),
        (FREEZE | {"untill": "x"}, "freeze.untill", "did you mean tts:freeze.until?"),
    ],
)
def test_a_wrong_freeze_is_refused(catalog: Catalog, freeze: dict[str, Any], key: str, sentence: str) -> None:
    [mistake] = refusals(catalog, {"tts:freeze": freeze})
    assert mistake.startswith(f"tts:{key} ")
    assert sentence in mistake
