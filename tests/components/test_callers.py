"""Who is answered and how many at once: settings, and what pods and Jobs are given for them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import engine_pb2

from components.catalog import Catalog
from components.plan import release_plan
from components.pod import inference_config, pod_template
from components.revision import identify
from components.settings import Settings
from serving.limits import Limits, limits_of
from serving.storage.config import parse_store

from .conftest import RunProgram, read, refusals

KEYED = {"tts:apiKeys": {"secret": "speech-keys"}}
STORE = {"claim": "kept"}
LEAVING = {"tts:apiKeys": {"secret": "speech-keys", "required": False}}


def pod(settings: Settings) -> dict[str, Any]:
    return dict(pod_template(settings, settings.stable.entry, revision="r", image="i")["spec"])


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"tts:apiKeys": {"required": True}}, "tts:apiKeys.secret", "is missing"),
        ({"tts:apiKeys": {"secret": "Not A Name"}}, "tts:apiKeys.secret", "no name of a Kubernetes Secret"),
        ({"tts:apiKeys": {"secret": "a", "open": True}}, "tts:apiKeys.open", "not a known key"),
        ({"tts:admission": {"streams": 0}}, "tts:admission.streams", "from 1 to 10000"),
        ({"tts:admission": {"queue": 1.5}}, "tts:admission.queue", "a whole number"),
        ({"tts:admission": {"waitSeconds": 601}}, "tts:admission.waitSeconds", "from 0 to 600"),
        ({"tts:admission": {"que": 1}}, "tts:admission.que", "did you mean tts:admission.queue"),
        ({"tts:admission": {"perKey": 3}}, "tts:admission.perKey", "tts:apiKeys names no Secret"),
        ({"tts:lexicon": {"nginx": ""}}, "tts:lexicon.nginx", "a text that is not empty"),
        ({"tts:lexicon": {" ": "x"}}, "tts:lexicon", "one of 1 to 80 characters"),
        ({"tts:lexicon": {f"a{n}": "x" for n in range(501)}}, "tts:lexicon", "at most 500"),
        ({"tts:records": {"days": 30}}, "tts:records.days", "tts:store is not set"),
        ({"tts:records": {"days": 0}, "tts:store": STORE}, "tts:records.days", "from 1 to 3650"),
        ({"tts:records": {"keep": True}, "tts:store": STORE}, "tts:records.days", "is missing"),
        ({"tts:voices": {"perKey": 5}}, "tts:voices.perKey", "tts:store is not set"),
        ({"tts:voices": {"perKey": 0}, "tts:store": STORE}, "tts:voices.perKey", "from 1 to 1000"),
        ({"tts:voices": {"perkey": 5}, "tts:store": STORE}, "tts:voices.perKey", "is missing"),
        ({"tts:records": {"days": 9, "day": 1}, "tts:store": STORE}, "tts:records.day", "tts:records.days?"),
    ],
)
def test_mistakes_are_said_with_their_key(catalog: Catalog, changes: Any, key: str, says: str) -> None:
    sentence = refusals(catalog, changes)[0]
    assert sentence.startswith(f"{key} ")
    assert says in sentence


def test_what_is_not_used_leaves_no_trace(checkout: Path) -> None:
    catalog = Catalog(checkout / "models")
    plain, spelt = read(catalog), read(catalog, {"tts:longestAnswerSeconds": 300, "tts:admission": {}})
    assert (
        not {"admission", "longestAnswerSeconds", "lexicon"}
        & inference_config(plain, plain.stable.entry, "r").keys()
    )
    assert "api-keys" not in str(pod(plain))
    assert "apiKeys" not in release_plan(plain, identify(plain, checkout))
    names = {identify(settings, checkout).target.name for settings in (plain, spelt, read(catalog, LEAVING))}
    assert len(names) == 1
    assert identify(read(catalog, KEYED), checkout).target.name not in names


def test_records_are_a_part_of_the_store(catalog: Catalog) -> None:
    settings = read(catalog, {"tts:store": STORE, "tts:records": {"days": 90}, "tts:logTexts": True})
    config = inference_config(settings, settings.stable.entry, "r")
    assert config["store"]["records"] == {"days": 90}
    assert parse_store(config["store"], {}) == replace(
        parse_store({"prefix": "", "outputs": True}, {}), record_days=90
    )
    assert config["logTexts"] is True
    without = read(catalog, {"tts:store": STORE})
    assert not {"records", "voices"} & inference_config(without, without.stable.entry, "r")["store"].keys()


def test_voices_are_a_part_of_the_store_that_the_pods_mount(catalog: Catalog) -> None:
    settings = read(
        catalog, {"tts:store": {"claim": "outputs", "outputs": False}, "tts:voices": {"perKey": 7}}
    )
    config = inference_config(settings, settings.stable.entry, "r")
    assert parse_store(config["store"], {}) == replace(
        parse_store({"prefix": "", "outputs": False}, {}), voices_per_key=7
    )
    spec = pod(settings)
    assert {"name": "store", "persistentVolumeClaim": {"claimName": "outputs"}} in spec["volumes"]
    assert {"name": "store", "mountPath": "/store"} in spec["containers"][0]["volumeMounts"]


def test_a_lexicon_is_given_to_the_servers_and_its_change_is_a_release(checkout: Path) -> None:
    catalog = Catalog(checkout / "models")
    one, other = (read(catalog, {"tts:lexicon": {"nginx": signs}}) for signs in ("ɛn", "ɛks"))
    assert inference_config(one, one.stable.entry, "r")["lexicon"] == {"nginx": "ɛn"}
    assert identify(one, checkout).target.name != identify(other, checkout).target.name


def test_servers_see_the_hashes_alone_and_a_missing_secret_keeps_them_from_starting(catalog: Catalog) -> None:
    spec = pod(read(catalog, KEYED))
    [volume] = [each for each in spec["volumes"] if each["name"] == "api-keys"]
    items = [{"key": "keys", "path": "keys"}]
    assert volume["secret"] == {"secretName": "speech-keys", "items": items}
    [container] = spec["containers"]
    assert {"name": "TTS_API_KEYS", "value": "/etc/tts-keys/keys"} in container["env"]
    assert {"name": "api-keys", "mountPath": "/etc/tts-keys", "readOnly": True} in container["volumeMounts"]


@pytest.mark.parametrize("keys", [KEYED, LEAVING])
@pytest.mark.parametrize("logical", ["release", "guard"])
def test_a_release_is_given_its_own_key(run_program: RunProgram, keys: Any, logical: str) -> None:
    program = run_program("dev", keys)
    [container] = program.kind("Job", logical=logical).inputs["spec"]["template"]["spec"]["containers"]
    reference = {"name": "speech-keys", "key": "probe", "optional": True}
    assert container["env"][-1] == {"name": "TTS_API_KEY", "valueFrom": {"secretKeyRef": reference}}


def test_the_plan_says_that_a_key_is_needed(checkout: Path) -> None:
    settings = read(Catalog(checkout / "models"), LEAVING)
    assert release_plan(settings, identify(settings, checkout))["apiKeys"] == {"secret": "speech-keys"}


@pytest.mark.parametrize("keys", [{}, LEAVING])
def test_voices_without_owners_are_said(run_program: RunProgram, keys: Any) -> None:
    voices = {"tts:store": STORE, "tts:voices": {"perKey": 5}}
    said = [text for severity, text in run_program("dev", voices | keys).said if severity == engine_pb2.INFO]
    assert any("Voices that are added have no owner" in text for text in said)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({}, "tts:apiKeys asks for keys"), (LEAVING, "tts:apiKeys.required is false"), (KEYED, None)],
)
def test_an_open_door_is_said(run_program: RunProgram, changes: Any, says: str | None) -> None:
    said = [text for severity, text in run_program("dev", changes).said if severity == engine_pb2.INFO]
    assert bool(said) is (says is not None)
    assert all(says in text for text in said if says)


def test_the_server_reads_what_the_stack_says_of_its_door(catalog: Catalog) -> None:
    said = {"streams": 40, "queue": 0, "waitSeconds": 2, "perKey": 3}
    settings = read(catalog, KEYED | {"tts:admission": said, "tts:longestAnswerSeconds": 60})
    config = inference_config(settings, settings.stable.entry, "r")
    assert limits_of(1, config["admission"]) == Limits(streams=40, queue=0, wait_seconds=2, per_key=3)
    assert config["longestAnswerSeconds"] == 60


LISTED = {"tts:listVersions": True}


def test_the_list_of_versions_is_told_to_servers_that_start_without_it(catalog: Catalog) -> None:
    spec = pod(read(catalog, LISTED | {"tts:name": "voice"}))
    [volume] = [each for each in spec["volumes"] if each["name"] == "versions"]
    assert volume["configMap"] == {"name": "voice-versions", "optional": True}
    [container] = spec["containers"]
    assert {"name": "TTS_VERSIONS", "value": "/etc/tts-versions/versions.json"} in container["env"]


def test_another_weight_is_another_list_and_the_same_revision(run_program: RunProgram) -> None:
    lists, names = [], set()
    for weight in (10, 20):
        program = run_program("dev", LISTED | {"tts:canary": {"version": "1.1.0", "weight": weight}})
        [config_map] = [
            each.inputs
            for each in program.registered
            if each.inputs.get("kind") == "ConfigMap" and each.inputs["metadata"]["name"] == "hibari-versions"
        ]
        assert "immutable" not in config_map
        lists.append(json.loads(config_map["data"]["versions.json"]))
        names.add(program.exported["revision"])
    assert len(names) == 1
    assert [[each["weight"] for each in listed] for listed in lists] == [[90, 10], [80, 20]]
    assert [each["role"] for each in lists[0]] == ["stable", "canary"]
    assert lists[0][0]["revision"] in names
