"""The daemon's own files below a home, and what they say."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from local.home import Home
from local.node import procfs


def folder(home: Home) -> Path:
    return home.root / "node"


def credentials(home: Home) -> tuple[int, str] | None:
    """The API's port and token, from the kubeconfig; None without a readable one."""
    try:
        config = yaml.safe_load(home.kubeconfig.read_text())
        server: str = config["clusters"][0]["cluster"]["server"]
        return int(server.rpartition(":")[2]), config["users"][0]["user"]["token"]
    except (OSError, KeyError, IndexError, TypeError, ValueError, yaml.YAMLError):
        return None


def record_daemon(home: Home, pid: int) -> None:
    (folder(home) / "daemon.json").write_text(json.dumps({"pid": pid, "startTime": procfs.start_time(pid)}))


def daemon_pid(home: Home) -> int | None:
    """The pid of the running daemon, or None; a pid that another process has by now does not count."""
    try:
        record = json.loads((folder(home) / "daemon.json").read_text())
        pid = int(record["pid"])
    except (OSError, KeyError, TypeError, ValueError):
        return None
    started = procfs.start_time(pid)
    return pid if started is not None and started == record["startTime"] else None
