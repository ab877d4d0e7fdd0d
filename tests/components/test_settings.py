"""Stack configuration: every refusal, and all of them at once."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.catalog import Catalog
from components.errors import SettingsError
from components.machine_settings import pull_seconds
from components.settings import parse_settings

from .conftest import LEAST, NOW, ROOT, entry, read, refusals, write_entry

NODES = {"enabled": True, "clusterName": "speech", "subnetIds": ["subnet-1"], "maxSize": 4}


def test_three_keys_are_enough(catalog: Catalog) -> None:
    settings = read(catalog)
    assert settings.name == "hibari"
    assert settings.namespace == "tts"
    assert settings.rollout.steps == (10, 50, 100)
    assert settings.resources.memory == ""  # what each version needs to load
    assert settings.node_group is None
    assert settings.peak_gpus == 0


def test_the_defaults_of_pulumi_yaml_are_the_defaults_of_the_settings(catalog: Catalog) -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    defaults = {key: schema["default"] for key, schema in declared.items() if "default" in schema}
    assert {key for key in declared if key not in defaults} == LEAST.keys()
    assert read(catalog, defaults) == read(catalog)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_every_key_of_a_stack_is_declared_in_pulumi_yaml(stack: str) -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    used = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    assert {key for key in used if key.startswith("tts:")} <= declared.keys()


def test_every_declared_key_is_a_known_setting(catalog: Catalog) -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    [sentence] = refusals(catalog, {"tts:zzzzzzzz": "1"})
    known = sentence.partition("known: ")[2].rstrip(".").split(", ")
    assert sorted(f"tts:{key}" for key in known) == sorted(declared)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("tts:model", "hibary", "did you mean hibari?"),
        ("tts:modelVersion", "latest", "not what it is"),
        ("tts:modelVersion", "1.0.0+cpu", "build metadata"),
        ("tts:modelVersion", "1.0", "not a semantic version"),
        ("tts:modelVersion", "1.0.0-RC1", "lower case"),
        ("tts:modelVersion", "2.0.0", "hibari has 1.0.0, 1.1.0, 1.10.0"),
        ("tts:name", "Hibari", "no DNS label"),
        ("tts:name", "a" * 50, "choose a shorter name"),
        ("tts:namespace", "no_good", "no DNS label"),
        ("tts:createNamespace", "yes", "write true or false"),
        ("tts:gateway", "public", "<namespace>/<name>"),
        ("tts:gatewaySelector", {"istio": 1}, "write a text"),
        ("tts:gatewayAddress", "localhost:80", "without a path"),
        ("tts:host", "bad host", "no host name"),
        ("tts:registry", "https://registry.example.com", "begins with a scheme"),
        ("tts:registry", "registry.example.com/Speech", "lower case"),
        ("tts:registry", "", "is empty"),
        ("tts:imageDigest", "sha256:12", "no digest"),
        ("tts:baseImage", "python:latest", "another image tomorrow"),
        ("tts:baseImage", "registry:5000/python", "another image tomorrow"),
        ("tts:platforms", ["windows/amd64"], "linux/amd64 or linux/arm64"),
        ("tts:replicas", 0, "from 1 to 100"),
        ("tts:replicas", "1.5", "a whole number"),
        ("tts:replicas", "many", "a whole number"),
        ("tts:slots", 0, "from 1 to 256"),
        ("tts:loadDelaySeconds", 7201, "from 0 to 7200"),
        ("tts:drainSeconds", -1, "from 0 to 300"),
        ("tts:longestAnswerSeconds", 0, "from 1 to 3600"),
        ("tts:graceSeconds", 60, "no longer a setting: write tts:longestAnswerSeconds"),
        ("tts:rollout", "soon", "not a mapping"),
        ("tts:nodeSelector", {"pool": ""}, "not empty"),
        ("tts:nodeGroup", {"enabled": "perhaps"}, "write true or false"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(catalog: Catalog, key: str, value: Any, sentence: str) -> None:
    [mistake] = refusals(catalog, {key: value})
    assert mistake.startswith(key)
    assert sentence in mistake


@pytest.mark.parametrize(
    ("section", "value", "key", "sentence"),
    [
        ("rollout", {"steps": [10, 5, 100]}, "tts:rollout.steps[1]", "not above the step before it (10)"),
        ("rollout", {"steps": [10, 10, 100]}, "tts:rollout.steps[1]", "let them rise"),
        ("rollout", {"steps": [10, 50]}, "tts:rollout.steps", "end with 100"),
        ("rollout", {"steps": []}, "tts:rollout.steps", "end with 100"),
        ("rollout", {"steps": [0, 100]}, "tts:rollout.steps[0]", "from 1 to 100"),
        ("rollout", {"steps": [12.5, 100]}, "tts:rollout.steps[0]", "whole number"),
        ("rollout", {"holdSeconds": "x"}, "tts:rollout.holdSeconds", "whole number"),
        ("rollout", {"holdSecond": 3}, "tts:rollout.holdSecond", "did you mean tts:rollout.holdSeconds?"),
        ("timeouts", {"pullSeconds": 0}, "tts:timeouts.pullSeconds", "from 1 to 7200"),
        ("resources", {"cpu": "much"}, "tts:resources.cpu", "500m or 2"),
        ("resources", {"memory": "1 GB"}, "tts:resources.memory", "512Mi or 4Gi"),
        ("resources", {"memory": "256Mi"}, "tts:resources.memory", "needs 512Mi to load"),
        (
            "resources",
            {"memory": "2Gi", "memoryLimit": "1Gi"},
            "tts:resources.memoryLimit",
            "below the memory",
        ),
        ("resources", {"memoryLimit": "256Mi"}, "tts:resources.memoryLimit", "below the memory"),
        ("resources", {"memoryLimit": "lots"}, "tts:resources.memoryLimit", "no amount of memory"),
        ("resources", {"ephemeralStorage": "1 GB"}, "tts:resources.ephemeralStorage", "no amount of storage"),
        ("network", {"policy": "on"}, "tts:network.policy", "write true or false"),
        ("network", {"gatewayNamespaces": []}, "tts:network.gatewayNamespaces", "no request could come in"),
        ("network", {"gatewayNamespaces": ["Istio"]}, "tts:network.gatewayNamespaces[0]", "no DNS label"),
        ("network", {"monitoringNamespaces": "all"}, "tts:network.monitoringNamespaces", "not a list"),
        ("network", {"apiServerPorts": []}, "tts:network.apiServerPorts", "no release could work"),
        ("network", {"apiServerPorts": [70000]}, "tts:network.apiServerPorts[0]", "from 1 to 65535"),
        ("network", {"apiServerPorts": [443, "https"]}, "tts:network.apiServerPorts[1]", "from 1 to 65535"),
        (
            "network",
            {"apiServerCidrs": ["10.0.0.1/8"]},
            "tts:network.apiServerCidrs[0]",
            "no range of addresses",
        ),
        ("network", {"egressPorts": [True]}, "tts:network.egressPorts[0]", "from 1 to 65535"),
        ("network", {"gatewayNamespace": "x"}, "tts:network.gatewayNamespace", "network.gatewayNamespaces?"),
        ("resources", {"gpus": 17}, "tts:resources.gpus", "from 0 to 16"),
        ("nodeGroup", {"minSize": 5}, "tts:nodeGroup.minSize", "above maxSize (4)"),
        ("nodeGroup", {"capacityType": "CHEAP"}, "tts:nodeGroup.capacityType", "ON_DEMAND, SPOT"),
        ("nodeGroup", {"diskGiB": 1}, "tts:nodeGroup.diskGiB", "from 20 to 16384"),
    ],
)
def test_a_wrong_nested_value_is_refused_with_its_path(
    catalog: Catalog, section: str, value: dict[str, Any], key: str, sentence: str
) -> None:
    [mistake] = refusals(catalog, {f"tts:{section}": value})
    assert mistake.split(" ")[0] == key
    assert sentence in mistake


def test_all_mistakes_are_reported_at_once(catalog: Catalog) -> None:
    mistakes = refusals(
        catalog,
        {
            "tts:model": "hibari",
            "tts:modelVersion": "latest",
            "tts:registry": "http://x",
            "tts:replicas": "none",
            "tts:rollout": {"steps": [50, 20], "wait": 1},
            "tts:gatway": "a/b",
        },
    )
    assert [mistake.split(" ")[0] for mistake in mistakes] == [
        "tts:modelVersion",
        "tts:replicas",
        "tts:registry",
        "tts:rollout.steps[1]",
        "tts:rollout.steps",
        "tts:rollout.wait",
        "tts:gatway",
    ]
    assert mistakes[-1].endswith("did you mean tts:gateway?")
    assert all(mistake.endswith((".", "?")) for mistake in mistakes)


def test_a_missing_key_is_refused(catalog: Catalog) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({}, catalog, now=NOW)
    assert [mistake.split(" ")[0] for mistake in caught.value.mistakes] == [
        "tts:model",
        "tts:modelVersion",
        "tts:registry",
    ]


def test_a_secret_is_refused_whether_marked_or_written(catalog: Catalog) -> None:
    by_mark = refusals(catalog, {"tts:registry": "x"}, secret_keys={"tts:registry"})
    written = refusals(catalog, {"tts:resources": {"cpu": {"secure": "v1:abc"}}})
    for [mistake], key in ((by_mark, "tts:registry"), (written, "tts:resources")):
        assert mistake.startswith(f"{key} is a secret value")
        assert "Kubernetes Secret" in mistake
        assert "v1:abc" not in mistake


def test_other_namespaces_are_left_alone(catalog: Catalog) -> None:
    assert read(catalog, {"aws:region": "eu-central-1", "kubernetes:context": "x"}) == read(catalog)


def test_a_node_group_must_name_its_cluster_and_subnets(catalog: Catalog) -> None:
    mistakes = refusals(catalog, {"tts:nodeGroup": {"enabled": True}, "tts:resources": {"gpus": 1}})
    assert [mistake.split(" ")[0] for mistake in mistakes] == [
        "tts:nodeGroup.clusterName",
        "tts:nodeGroup.subnetIds",
    ]


def test_a_release_that_the_node_group_can_never_hold_is_refused(catalog: Catalog) -> None:
    fits = {"tts:nodeGroup": NODES, "tts:replicas": 2, "tts:resources": {"gpus": 1}}
    assert read(catalog, fits).peak_gpus == 4
    [mistake] = refusals(catalog, fits | {"tts:replicas": 3})
    assert mistake.startswith("tts:nodeGroup.maxSize")
    assert "needs 6 while the old and the new revision run" in mistake


def test_a_canary_and_warm_versions_take_gpus_too(catalog: Catalog) -> None:
    more = {
        "tts:nodeGroup": NODES,
        "tts:resources": {"gpus": 1},
        "tts:canary": {"version": "1.1.0", "weight": 5, "replicas": 1},
    }
    assert read(catalog, more).peak_gpus == 2 + 1
    warm = more | {"tts:warmVersions": ["1.10.0"]}
    assert read(catalog, warm).peak_gpus == 2 + 1 + 1
    [mistake] = refusals(catalog, warm | {"tts:replicas": 2})
    assert mistake.startswith("tts:nodeGroup.maxSize is 4 with 4 GPUs, but a release needs 7 while")


def test_memory_must_do_for_each_version_that_is_kept(catalog: Catalog, tmp_path: Path) -> None:
    write_entry(tmp_path, entry("2.0.0", load={"budgetSeconds": 60, "memory": "2Gi"}))
    [mistake] = refusals(
        catalog, {"tts:resources": {"memory": "1Gi"}, "tts:canary": {"version": "2.0.0", "weight": 5}}
    )
    assert mistake.startswith('tts:resources.memory is "1Gi", but hibari 2.0.0 needs 2Gi to load')


def test_a_webhook_is_named_by_its_secret_and_never_said(catalog: Catalog) -> None:
    assert read(catalog, {"tts:webhookSecret": "release-news"}).webhook_secret == "release-news"
    [mistake] = refusals(catalog, {"tts:webhookSecret": "https://hooks.example.com/T0/hush"})
    assert mistake.startswith("tts:webhookSecret is an address")
    assert "Kubernetes Secret under the key url" in mistake
    assert "hush" not in mistake
    [mistake] = refusals(catalog, {"tts:webhookSecret": "Release News"})
    assert "no name of a Kubernetes Secret" in mistake


def test_a_pod_must_fit_one_node_and_ask_for_a_gpu(catalog: Catalog) -> None:
    [mistake] = refusals(catalog, {"tts:nodeGroup": NODES, "tts:resources": {"gpus": 2}})
    assert mistake.startswith("tts:resources.gpus is 2, but a node has 1")
    [mistake] = refusals(catalog, {"tts:nodeGroup": NODES})
    assert mistake.startswith("tts:nodeGroup.enabled")


def test_an_entrys_mistakes_are_reported_with_the_settings(catalog: Catalog, tmp_path: Path) -> None:
    write_entry(tmp_path, entry("1.1.0", sampleRate="fast"))
    mistakes = refusals(catalog, {"tts:modelVersion": "1.1.0", "tts:replicas": 0})
    assert mistakes[0].startswith("tts:replicas")
    assert mistakes[1].startswith("models/hibari/1.1.0.yaml: sampleRate")


def test_the_pull_budget_grows_with_the_model(catalog: Catalog, tmp_path: Path) -> None:
    big = entry()["artifacts"][0] | {"size": 5_000_000_000}
    write_entry(tmp_path, entry("3.0.0", artifacts=[big]))
    settings = read(catalog, {"tts:modelVersion": "3.0.0", "tts:warmVersions": ["1.0.0"]})
    assert [pull_seconds(settings.timeouts, size=each.entry.size) for each in settings.served] == [260, 60]
    limited = read(catalog, {"tts:modelVersion": "3.0.0", "tts:timeouts": {"pullSeconds": 9}})
    assert pull_seconds(limited.timeouts, size=limited.stable.entry.size) == 9


def test_a_load_delay_is_said_aloud_and_never_refused(catalog: Catalog) -> None:
    assert read(catalog).notices == ()
    [said] = read(catalog, {"tts:loadDelaySeconds": 10}).notices
    assert "until 10 s after its start" in said
    assert "refused" not in said
    [said] = read(catalog, {"tts:loadDelaySeconds": 600}).notices
    assert "Its release will be refused: by its catalog entry 1.0.0 may take 60 s" in said
