"""Which connections a stack's pods may have: the rendered policies, asked for one connection at a time."""

from typing import Any

import pytest

from .conftest import Program, RunProgram
from .connections import End, Policy, may_reach

OUTSIDE = End()
GATEWAY = End("istio-system", {"istio": "ingressgateway"})
PROMETHEUS = End("monitoring", {"app": "prometheus"})
DNS = End("kube-system", {"k8s-app": "kube-dns"})
API_SERVER = End(address="10.96.0.1")
METADATA = End(address="169.254.169.254")


class Stack:
    """The pods and policies of one rendered stack."""

    def __init__(self, program: Program) -> None:
        objects = [each.inputs for each in program.registered if "kind" in each.inputs]
        self.policies: list[Policy] = [each for each in objects if each["kind"] == "NetworkPolicy"]
        self.servers = [_pod(each) for each in objects if each["kind"] == "Deployment"]
        self.server = self.servers[0]
        self.guard, self.release = (
            _pod(program.kind("Job", logical=logical).inputs) for logical in ("guard", "release")
        )


def _pod(workload: dict[str, Any]) -> End:
    return End(workload["metadata"]["namespace"], workload["spec"]["template"]["metadata"]["labels"])


@pytest.fixture
def stack(run_program: RunProgram) -> Stack:
    return Stack(run_program("staging", {"tts:prometheusUrl": "http://prometheus.monitoring.svc:9090"}))


def test_what_a_stack_needs_is_open(stack: Stack) -> None:
    server, judges = stack.server, (stack.release, stack.guard)
    needed = [
        (GATEWAY, server, 8080),
        (PROMETHEUS, server, 8080),
        *((judge, server, 8080) for judge in judges),
        *((PROMETHEUS, judge, 9464) for judge in judges),
        *((judge, GATEWAY, 8080) for judge in judges),
        *((judge, PROMETHEUS, 9090) for judge in judges),
        *((judge, API_SERVER, port) for judge in judges for port in (443, 6443)),
    ]
    assert [each for each in needed if not may_reach(stack.policies, *each)] == []
    for judge in judges:
        assert may_reach(stack.policies, judge, DNS, 53, "UDP")
        assert may_reach(stack.policies, judge, DNS, 53, "TCP")


def test_all_else_is_closed(stack: Stack) -> None:
    server, judges, own = stack.server, (stack.release, stack.guard), stack.server.namespace
    neighbour = End(own, {"app.kubernetes.io/name": "another", "app.kubernetes.io/part-of": "tts"})
    impostor = End("elsewhere", stack.release.labels)
    closed = [
        *((source, server, 8080) for source in (neighbour, impostor, OUTSIDE, DNS, server)),
        (GATEWAY, server, 9464),
        *((server, target, 443) for target in (OUTSIDE, API_SERVER, PROMETHEUS, GATEWAY)),
        (server, METADATA, 80),
        (server, DNS, 53),
        *((judge, METADATA, 80) for judge in judges),
        *((judge, OUTSIDE, port) for judge in judges for port in (22, 80, 8080)),
        *((judge, neighbour, 8080) for judge in judges),
        *((source, judge, 9464) for source in (GATEWAY, OUTSIDE, neighbour, server) for judge in judges),
        (stack.release, stack.guard, 9464),
        (stack.guard, stack.release, 443),
    ]
    assert [each for each in closed if may_reach(stack.policies, *each)] == []
    assert not may_reach(stack.policies, server, DNS, 53, "UDP")


def test_a_pod_of_the_stack_that_no_other_policy_names_may_do_nothing(stack: Stack) -> None:
    forgotten = End(
        stack.server.namespace,
        {"app.kubernetes.io/name": "hibari", "app.kubernetes.io/part-of": "tts", "is": "forgotten"},
    )
    assert not may_reach(stack.policies, forgotten, API_SERVER, 443)
    assert not may_reach(stack.policies, GATEWAY, forgotten, 8080)
    without = [policy for policy in stack.policies if "deny" not in policy["metadata"]["name"]]
    assert len(without) == len(stack.policies) - 1
    assert may_reach(without, forgotten, API_SERVER, 443), "the denial is what closes it"


def test_other_pods_of_the_namespace_are_left_alone(stack: Stack) -> None:
    other = End(stack.server.namespace, {"app": "other"})
    assert may_reach(stack.policies, other, OUTSIDE, 443)
    assert may_reach(stack.policies, OUTSIDE, other, 5432)


def test_two_stacks_in_one_namespace_do_not_open_each_other(run_program: RunProgram) -> None:
    first, second = Stack(run_program("dev")), Stack(run_program("dev", {"tts:name": "wren"}))
    policies = [*first.policies, *second.policies]
    assert len({policy["metadata"]["name"] for policy in policies}) == len(policies)
    for source, target in ((first.release, second.server), (second.guard, first.server)):
        assert not may_reach(policies, source, target, 8080)
    for one in (first, second):
        assert may_reach(policies, one.release, one.server, 8080)
        assert may_reach(policies, GATEWAY, one.server, 8080)


def test_each_revision_has_a_policy_that_stays_with_it(run_program: RunProgram) -> None:
    program = run_program("dev", {"tts:canary": {"version": "1.1.0", "weight": 10}})
    one = Stack(program)
    assert len(one.servers) == 2
    for server in one.servers:
        revision = server.labels["tts/revision"]
        policy = program.find(f"NetworkPolicy {revision}")
        assert policy.inputs["spec"]["podSelector"]["matchLabels"]["tts/revision"] == revision
        assert policy.title in program.before(program.find(f"Deployment {revision}"))
        assert may_reach(one.policies, GATEWAY, server, 8080)


def test_the_release_finds_a_gateway_outside_by_its_port(run_program: RunProgram) -> None:
    one = Stack(run_program("staging", {"tts:gatewayAddress": "http://speech.example.com:8443"}))
    assert may_reach(one.policies, one.release, OUTSIDE, 8443)
    assert not may_reach(one.policies, one.release, OUTSIDE, 80)
    # Requests still come from where Istio's gateway usually is.
    assert may_reach(one.policies, GATEWAY, one.server, 8080)


def test_the_namespaces_follow_the_addresses_and_can_be_named(run_program: RunProgram) -> None:
    changes = {
        "tts:gatewayAddress": "http://gw.ingress.svc.cluster.local",
        "tts:prometheusUrl": "http://prom.observability.svc:9090",
    }
    one = Stack(run_program("staging", changes))
    assert may_reach(one.policies, End("ingress"), one.server, 8080)
    assert may_reach(one.policies, one.release, End("ingress"), 8080)
    assert may_reach(one.policies, End("observability"), one.release, 9464)
    assert not may_reach(one.policies, GATEWAY, one.server, 8080)
    named = {"tts:network": {"gatewayNamespaces": ["old", "new"], "monitoringNamespaces": []}}
    two = Stack(run_program("staging", changes | named))
    assert all(may_reach(two.policies, End(name), two.server, 8080) for name in ("old", "new"))
    assert not may_reach(two.policies, End("observability"), two.release, 9464)
    assert may_reach(two.policies, two.release, End("observability"), 9090)


def test_the_api_server_can_be_pinned_down_and_a_webhook_still_reached(run_program: RunProgram) -> None:
    pinned = {
        "tts:network": {"apiServerPorts": [8443], "apiServerCidrs": ["10.0.0.1/32"], "egressPorts": [8065]}
    }
    one = Stack(run_program("staging", pinned))
    assert may_reach(one.policies, one.guard, End(address="10.0.0.1"), 8443)
    assert not may_reach(one.policies, one.guard, OUTSIDE, 8443)
    assert not may_reach(one.policies, one.guard, OUTSIDE, 443)
    assert may_reach(one.policies, one.guard, OUTSIDE, 8065)
    told = Stack(run_program("staging", pinned | {"tts:webhookSecret": "news"}))
    assert may_reach(told.policies, told.guard, OUTSIDE, 443)


def test_without_policies_nothing_is_declared_and_nothing_refused(run_program: RunProgram) -> None:
    one = Stack(run_program("staging", {"tts:network": {"policy": False}}))
    assert one.policies == []
    assert may_reach(one.policies, OUTSIDE, one.server, 8080)
