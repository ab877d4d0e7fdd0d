"""The daemon from outside: started, lost, brought back, stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from dataclasses import replace

import pytest
import requests

from local.home import Home
from local.node import daemon, procfs, state
from local.node.errors import NodeError
from tests.local.node.platform_client import (
    Client,
    deployment,
    gateway,
    job,
    ready_probe,
    route,
    service,
)
from tests.waiting import eventually


def test_a_killed_daemon_leaves_no_process_and_comes_back_with_everything(own_home: Home) -> None:
    daemon.ensure_running(own_home)
    client = Client(own_home)
    client.declare(gateway(), deployment("web", readinessProbe=ready_probe()), service("web"))
    client.declare(
        route("web", "*", {"web": 100}), job("done", {"EXIT": "0"}), job("under-way", {"SLEEP": "600"})
    )
    eventually(lambda: client.available("web"))
    eventually(lambda: client.condition("Job", "done", "Complete").get("status") == "True")
    running = eventually(
        lambda: [p for p in client.pods("app=under-way") if p["status"].get("phase") == "Running"]
    )
    sessions = [int(record.name) for record in (state.folder(own_home) / "processes").iterdir()]
    assert len(sessions) == 3
    os.kill(state.daemon_pid(own_home) or 0, signal.SIGKILL)
    eventually(lambda: not any(procfs.session_members(session) for session in sessions))
    assert not daemon.is_running(own_home)

    daemon.ensure_running(own_home)
    client = Client(own_home)
    eventually(lambda: client.available("web"))
    url = f"http://127.0.0.1:{own_home.gateway_port}/"
    eventually(lambda: requests.get(url, timeout=5).text == "web")
    again = eventually(lambda: client.pods("app=under-way"))
    assert again[0]["metadata"]["uid"] != running[0]["metadata"]["uid"]
    assert client.get("Job", "done")["status"]["succeeded"] == 1

    eventually(lambda: client.pods("app=under-way")[0]["status"].get("phase") == "Running")
    sessions = [int(record.name) for record in (state.folder(own_home) / "processes").iterdir()]
    port = (state.credentials(own_home) or (0, ""))[0]
    address = client.pods("app=web")[0]["status"]["podIP"]
    daemon.stop(own_home)
    assert not daemon.is_running(own_home)
    assert not any(procfs.session_members(session) for session in sessions)
    open_ports = procfs.listeners()
    assert ("127.0.0.1", port) not in open_ports
    assert ("127.0.0.1", own_home.gateway_port) not in open_ports
    assert (address, 8080) not in open_ports


def test_a_deleted_home_leaves_no_process_and_no_open_port(own_home: Home) -> None:
    daemon.ensure_running(own_home)
    client = Client(own_home)
    client.declare(gateway(), deployment("web", readinessProbe=ready_probe()), service("web"))
    eventually(lambda: client.available("web"))
    pid = state.daemon_pid(own_home) or 0
    sessions = [int(record.name) for record in (state.folder(own_home) / "processes").iterdir()]
    shutil.rmtree(own_home.root)
    eventually(lambda: procfs.start_time(pid) is None)
    eventually(lambda: not any(procfs.session_members(session) for session in sessions))
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", own_home.gateway_port)) != 0


def test_envoy_is_started_again_when_it_dies(client: Client) -> None:
    port = client.home.gateway_port
    records = (state.folder(client.home) / "processes").iterdir()
    envoy = next(int(r.name) for r in records if b"envoy" in open(f"/proc/{r.name}/cmdline", "rb").read())  # noqa: PTH123, SIM115
    os.kill(envoy, signal.SIGKILL)
    eventually(lambda: ("127.0.0.1", port) not in procfs.listeners())
    eventually(lambda: ("127.0.0.1", port) in procfs.listeners())


def test_a_taken_gateway_port_is_named_with_its_process(bare_home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(NodeError, match=rf"port {port} is taken by process {os.getpid()}"):
            daemon.ensure_running(replace(bare_home, gateway_port=port))


def test_other_machines_are_refused_in_one_sentence(bare_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(NodeError, match="Linux x86-64 only"):
        daemon.ensure_running(bare_home)


def test_a_daemon_that_cannot_start_gives_the_end_of_its_log(bare_home: Home) -> None:
    state.folder(bare_home).mkdir()
    (state.folder(bare_home) / "objects.sqlite").write_text(
        "this is no database, and long enough to be read as one"
    )
    with pytest.raises(NodeError, match="file is not a database"):
        daemon.ensure_running(bare_home)


def test_the_kubeconfig_is_its_owners_alone(home: Home) -> None:
    assert home.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_ensure_running_twice_keeps_the_daemon(home: Home) -> None:
    before = state.daemon_pid(home)
    daemon.ensure_running(home)
    assert state.daemon_pid(home) == before
