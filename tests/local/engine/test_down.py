"""`down` takes away what release Jobs made by themselves too, and nothing of others."""

from __future__ import annotations

from tests.local.engine.conftest import Stack


def lease(name: str, *, stack: str) -> dict[str, object]:
    labels = {"app.kubernetes.io/part-of": "tts", "app.kubernetes.io/name": stack}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "tts", "labels": labels},
        "spec": {"holderIdentity": "hibari-release-abcdef/0a1b2c3d"},
    }


def test_down_removes_the_lease_of_its_releases_after_all_else(stack: Stack) -> None:
    stack.program('route("hibari", "1.0.0", depends_on=[job("release-1")])')
    assert stack.up(), stack.text
    stack.api.add("leases", lease("hibari-release", stack="hibari"))
    assert stack.down(), stack.text
    assert stack.api.log == [
        "DELETE VirtualService hibari",
        "DELETE Job release-1",
        "DELETE Lease hibari-release",
    ]
    assert stack.api.objects == {}
    assert "Lease hibari-release: deleted" in stack.text


def test_down_leaves_the_lease_of_another_stack_in_the_same_namespace(stack: Stack) -> None:
    stack.program('route("hibari", "1.0.0")')
    assert stack.up(), stack.text
    stack.api.add("leases", lease("other-release", stack="other"))
    assert stack.down(), stack.text
    assert stack.api.names("leases") == {"other-release"}


def test_a_stack_of_the_same_name_in_another_namespace_is_left_alone(stack: Stack) -> None:
    namespace = 'k8s.core.v1.Namespace({0!r}, metadata={{"name": {0!r}}})\n'
    stack.program(namespace.format("tts") + 'config_map("mine")')
    assert stack.up("namespace=tts"), stack.text
    stack.program(
        namespace.format("theirs")
        + 'k8s.core.v1.ConfigMap("a", metadata={"name": "a", "namespace": "theirs"})'
    )
    assert stack.up("namespace=theirs"), stack.text
    assert stack.api.names("configmaps") == {"mine", "a"}
    assert stack.api.names("namespaces") == {"tts", "theirs"}
    assert stack.up("namespace=theirs"), stack.text
    assert "Nothing changed" in stack.text
    config = stack.root / "Pulumi.dev.yaml"
    config.write_text(config.read_text() + "  tts:namespace: theirs\n")
    assert stack.down(), stack.text
    assert stack.api.names("configmaps") == {"mine"}
    assert stack.api.names("namespaces") == {"tts"}


def test_down_removes_events_and_what_a_job_writes_when_it_ends(stack: Stack) -> None:
    stack.program('route("hibari", "1.0.0", depends_on=[job("release-1")])')
    assert stack.up(), stack.text

    def made(kind: str, name: str, of: str) -> dict[str, object]:
        labels = {"app.kubernetes.io/part-of": "tts", "app.kubernetes.io/name": of}
        return {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": "tts", "labels": labels},
        }

    for number in range(3):
        stack.api.add("events", made("Event", f"hibari-release-{number}", "hibari"))
    stack.api.add("events", made("Event", "other-release-1", "other"))

    def last_word(line: str) -> None:
        if line == "DELETE Job release-1":
            stack.api.add("configmaps", made("ConfigMap", "release-1-receipt", "hibari"))
            stack.api.add("events", made("Event", "hibari-release-3", "hibari"))

    stack.api.on_write = last_word
    assert stack.down(), stack.text
    assert stack.api.names("events") == {"other-release-1"}
    assert stack.api.names("configmaps") == set()
    assert "Events of the releases: 4 deleted" in stack.text
    assert "hibari-release-0" not in stack.text
