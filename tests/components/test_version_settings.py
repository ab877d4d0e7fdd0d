"""Which versions a stack keeps: the canary, the warm ones, and what is refused about them."""

from typing import Any

import pytest

from components.catalog import Catalog
from components.version_settings import CANARY, STABLE, WARM

from .conftest import DIGEST, entry, read, refusals, write_entry

OTHER = f"sha256:{'ef' * 32}"


def test_one_version_has_all_the_weight(catalog: Catalog) -> None:
    [stable] = read(catalog, {"tts:replicas": 3}).served
    assert (stable.role, stable.entry.version, stable.weight, stable.replicas) == (STABLE, "1.0.0", 100, 3)


def test_a_canary_takes_its_share_and_the_warm_ones_none(catalog: Catalog) -> None:
    settings = read(
        catalog,
        {
            "tts:replicas": 2,
            "tts:canary": {"version": "1.1.0", "weight": 10, "replicas": 1},
            "tts:warmVersions": ["1.10.0"],
        },
    )
    seen = [(each.role, each.entry.version, each.weight, each.replicas) for each in settings.served]
    assert seen == [(STABLE, "1.0.0", 90, 2), (CANARY, "1.1.0", 10, 1), (WARM, "1.10.0", 0, 2)]
    assert settings.peak_pods == 2 * 2 + 1 + 2
    assert not any(each.mirrored for each in settings.served)


def test_a_mirrored_canary_has_no_weight_and_as_many_pods_as_the_stable_one(catalog: Catalog) -> None:
    changes = {"tts:replicas": 2, "tts:canary": {"version": "1.1.0", "mirror": True}}
    stable, canary = read(catalog, changes).served
    assert (stable.weight, canary.weight, canary.mirrored, canary.replicas) == (100, 0, True, 2)


@pytest.mark.parametrize(
    ("canary", "key", "sentence"),
    [
        ({"version": "1.0.0", "weight": 5}, "canary.version", "which tts:modelVersion names already"),
        ({"version": "9.0.0", "weight": 5}, "canary.version", "hibari has 1.0.0, 1.1.0, 1.10.0"),
        ({"version": "latest", "weight": 5}, "canary.version", "not what it is"),
        ({"weight": 5}, "canary.version", "is missing"),
        ({"version": "1.1.0"}, "canary.weight", "is 0 without mirror"),
        ({"version": "1.1.0", "weight": 5, "mirror": True}, "canary.mirror", "choose copies"),
        ({"version": "1.1.0", "weight": 100}, "canary.weight", "from 0 to 99"),
        ({"version": "1.1.0", "weight": 5, "replicas": 0}, "canary.replicas", "from 1 to 100"),
        ({"version": "1.1.0", "wieght": 5, "mirror": True}, "canary.wieght", "tts:canary.weight?"),
        ({"version": "1.1.0", "weight": 5, "imageDigest": DIGEST}, "canary.imageDigest", "builds its images"),
    ],
)
def test_a_wrong_canary_is_refused(catalog: Catalog, canary: dict[str, Any], key: str, sentence: str) -> None:
    mistakes = refusals(catalog, {"tts:canary": canary})
    mistake = next(each for each in mistakes if each.startswith(f"tts:{key} "))
    assert sentence in mistake


@pytest.mark.parametrize(
    ("warm", "key", "sentence"),
    [
        (["1.0.0"], "warmVersions[0]", "which tts:modelVersion names already"),
        (["1.10.0"], "warmVersions[0]", "which tts:canary.version names already"),
        (["1.1.0", "1.1.0"], "warmVersions[1]", "which tts:warmVersions[0] names already"),
        (["9.0.0"], "warmVersions[0]", "not in the catalog"),
        (["1.1"], "warmVersions[0]", "not a semantic version"),
        ([f"1.1.0@{DIGEST}"], "warmVersions[0]", "builds its images"),
        (["1.1.0@latest"], "warmVersions[0]", "no digest"),
        ("1.1.0", "warmVersions", "not a list"),
    ],
)
def test_a_wrong_warm_version_is_refused(catalog: Catalog, warm: Any, key: str, sentence: str) -> None:
    canary = {"version": "1.10.0", "weight": 5}
    mistake = refusals(catalog, {"tts:canary": canary, "tts:warmVersions": warm})[0]
    assert mistake.startswith(f"tts:{key} ")
    assert sentence in mistake


def test_a_stack_that_promotes_names_the_digest_of_each_version(catalog: Catalog) -> None:
    changes = {
        "tts:imageDigest": DIGEST,
        "tts:canary": {"version": "1.1.0", "weight": 5, "imageDigest": OTHER},
        "tts:warmVersions": [f"1.10.0@{OTHER}"],
    }
    settings = read(catalog, changes)
    assert settings.promotes
    assert [each.image_digest for each in settings.served] == [DIGEST, OTHER, OTHER]
    mistakes = refusals(
        catalog, changes | {"tts:canary": {"version": "1.1.0", "weight": 5}, "tts:warmVersions": ["1.10.0"]}
    )
    assert [mistake.partition(" ")[0] for mistake in mistakes] == [
        "tts:canary.imageDigest",
        "tts:warmVersions[0]",
    ]
    assert "write 1.10.0@sha256:..." in mistakes[1]


def test_an_entrys_mistake_is_said_once_however_often_it_is_named(catalog: Catalog, tmp_path: Any) -> None:
    write_entry(tmp_path, entry("1.1.0", sampleRate="fast"))
    mistakes = refusals(
        catalog, {"tts:canary": {"version": "1.1.0", "weight": 5}, "tts:warmVersions": ["1.1.0"]}
    )
    assert sum("sampleRate" in mistake for mistake in mistakes) == 1


def test_each_revisions_name_must_fit(catalog: Catalog) -> None:
    [mistake] = refusals(catalog, {"tts:name": "a" * 39, "tts:canary": {"version": "1.10.0", "weight": 5}})
    assert mistake.startswith("tts:name would give revisions such as")
    assert "1-10-0" in mistake
