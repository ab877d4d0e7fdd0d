"""The route and the plan of a stack that keeps several versions: pure functions of its settings."""

from pathlib import Path
from typing import Any

from components.catalog import Catalog
from components.plan import release_plan
from components.revision import Revisions, identify, virtual_service

from .conftest import DIGEST, entry, read, write_entry

OTHER = f"sha256:{'ef' * 32}"
SHARE = {"tts:canary": {"version": "1.1.0", "weight": 10}}
COPIES = {"tts:canary": {"version": "1.1.0", "mirror": True}}


def revisions_of(checkout: Path, changes: dict[str, Any] | None = None) -> Revisions:
    return identify(read(Catalog(checkout / "models"), changes), checkout)


def route_of(checkout: Path, changes: dict[str, Any]) -> list[dict[str, Any]]:
    settings = read(Catalog(checkout / "models"), changes)
    http: list[dict[str, Any]] = virtual_service(settings, identify(settings, checkout))["spec"]["http"]
    return http


def http_of(checkout: Path, changes: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries without their retries, which are the same in each."""
    entries = route_of(checkout, changes)
    return [{key: value for key, value in entry.items() if key != "retries"} for entry in entries]


def plan_of(checkout: Path, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    settings = read(Catalog(checkout / "models"), changes)
    return release_plan(settings, identify(settings, checkout))


def destination(revision: str) -> dict[str, Any]:
    return {"host": f"{revision}.tts.svc.cluster.local", "port": {"number": 80}}


def test_each_revision_is_reached_by_its_version_and_by_its_name(checkout: Path) -> None:
    write_entry(checkout, entry("1.2.0"))
    changes = SHARE | {"tts:warmVersions": ["1.2.0"]}
    revisions = revisions_of(checkout, changes)
    pins = http_of(checkout, changes)[:-1]
    assert pins == [
        {
            "name": f"pin-{each.name}",
            "match": [
                {"headers": {"x-tts-version": {"exact": each.entry.version}}},
                {"headers": {"x-tts-revision": {"exact": each.name}}},
            ],
            "route": [{"destination": destination(each.name)}],
        }
        for each in revisions.all
    ]
    assert [each.entry.version for each in revisions.all] == ["1.0.0", "1.1.0", "1.2.0"]


def test_a_canary_has_its_weight_and_the_stable_one_the_rest(checkout: Path) -> None:
    stable, canary = revisions_of(checkout, SHARE).all
    assert http_of(checkout, SHARE)[2:] == [
        {
            "name": "weighted",
            "route": [
                {"destination": destination(stable.name), "weight": 90},
                {"destination": destination(canary.name), "weight": 10},
            ],
        }
    ]


def test_a_mirrored_canary_gets_copies_of_speech_alone_and_no_weight(checkout: Path) -> None:
    stable, canary = revisions_of(checkout, COPIES).all
    weighted = [{"destination": destination(stable.name), "weight": 100}]
    assert http_of(checkout, COPIES)[2:] == [
        {
            "name": "speech",
            "match": [{"uri": {"exact": "/v1/audio/speech"}}],
            "route": weighted,
            "mirror": destination(canary.name),
            "mirrorPercentage": {"value": 100},
            "headers": {"request": {"set": {"x-tts-answered-by": stable.name}}},
        },
        {"name": "weighted", "route": weighted},
    ]


def test_no_entry_has_a_timeout(checkout: Path) -> None:
    assert not any("timeout" in each for each in http_of(checkout, COPIES))


def test_a_request_is_tried_again_only_where_no_server_can_have_begun_to_answer(checkout: Path) -> None:
    entries = route_of(checkout, COPIES)
    assert [each["name"].partition("-")[0] for each in entries] == ["pin", "pin", "speech", "weighted"]
    for each in entries:
        assert each["retries"] == {"attempts": 2, "retryOn": "connect-failure,refused-stream"}


def test_a_revision_is_the_same_in_every_role(checkout: Path) -> None:
    as_canary = revisions_of(checkout, SHARE | {"tts:replicas": 3}).canary
    promoted = revisions_of(checkout, {"tts:modelVersion": "1.1.0"})
    kept = revisions_of(checkout, {"tts:warmVersions": ["1.1.0"]}).others[0]
    assert as_canary is not None
    assert as_canary.name == promoted.target.name == kept.name


def test_a_revision_that_was_promoted_by_digest_is_the_same_in_every_role(checkout: Path) -> None:
    promoted = revisions_of(checkout, {"tts:modelVersion": "1.1.0", "tts:imageDigest": OTHER}).target
    canary = SHARE["tts:canary"] | {"imageDigest": OTHER}
    kept = revisions_of(checkout, {"tts:imageDigest": DIGEST, "tts:warmVersions": [f"1.1.0@{OTHER}"]})
    assert kept.others[0].name == promoted.name
    beside = revisions_of(checkout, {"tts:imageDigest": DIGEST, "tts:canary": canary})
    assert beside.others[0].name == promoted.name


def test_memory_left_out_is_each_versions_own(checkout: Path) -> None:
    write_entry(checkout, entry("1.1.0", load={"budgetSeconds": 60, "memory": "2Gi"}))
    beside = revisions_of(checkout, SHARE)
    assert beside.target.name == revisions_of(checkout).target.name
    assert beside.others[0].name == revisions_of(checkout, {"tts:modelVersion": "1.1.0"}).target.name


def test_a_load_delay_is_a_revision_of_its_own_and_none_leaves_no_trace(checkout: Path) -> None:
    plain = revisions_of(checkout).target
    assert revisions_of(checkout, {"tts:loadDelaySeconds": 0}).target.name == plain.name
    assert revisions_of(checkout, {"tts:loadDelaySeconds": 90}).target.name != plain.name


def test_the_plan_names_every_revision_with_its_role_and_gate(checkout: Path) -> None:
    limits = entry()["limits"] | {"firstAudioRatio": 1.8}
    write_entry(checkout, entry("1.1.0", limits=limits))
    write_entry(checkout, entry("1.2.0"))
    changes = SHARE | {
        "tts:warmVersions": ["1.2.0"],
        "tts:rollout": {"limits": {"firstAudioRatio": 1.4}},
    }
    plan = plan_of(checkout, changes)
    told = [plan["target"], *plan["others"]]
    assert [each["role"] for each in told] == ["stable", "canary", "warm"]
    assert [each["revision"] for each in told] == [each.name for each in revisions_of(checkout, changes).all]
    # The entry's own limit where it has one, else the stack's.
    assert [each["gate"]["firstAudioRatio"] for each in told] == [1.4, 1.8, 1.4]
    assert plan["rollout"]["limits"]["firstAudioRatio"] == 1.4


def test_another_weight_is_another_release_of_the_same_revisions(checkout: Path) -> None:
    more = {"tts:canary": {"version": "1.1.0", "weight": 20}}
    assert plan_of(checkout, SHARE)["release"] != plan_of(checkout, more)["release"]
    assert [each.name for each in revisions_of(checkout, SHARE).all] == [
        each.name for each in revisions_of(checkout, more).all
    ]


def test_a_freeze_and_a_webhook_are_no_part_of_the_plan(checkout: Path) -> None:
    freeze = {"version": "1.0.0", "until": "2027-01-07", "reason": "the holidays"}
    assert plan_of(checkout, {"tts:freeze": freeze}) == plan_of(checkout)


def test_the_plan_says_where_real_traffic_is_measured(checkout: Path) -> None:
    changes = {"tts:prometheusUrl": "http://prometheus:9090", "tts:prometheus": {"metrics": "envoy"}}
    prometheus = plan_of(checkout, changes)["prometheus"]
    assert (prometheus["url"], prometheus["maxAgeSeconds"]) == ("http://prometheus:9090", 60)
    assert "{revision}.{namespace}.svc.cluster.local" in prometheus["queries"]["requests"]
