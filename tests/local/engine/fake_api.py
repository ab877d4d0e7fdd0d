"""A Kubernetes API in memory: server-side apply, dry runs, immutability, foreground deletion, pod logs."""

from __future__ import annotations

import copy
import json
import threading
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Key = tuple[str, str, str]  # collection path below the group, namespace, name
Object = dict[str, Any]


class FakeApi:
    """`log` lists every write as `VERB Kind name`; `behave[name]` decides the status of an applied object;
    `lacks` names kinds (in the plural) that the cluster does not know."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.declared: dict[Key, Object] = {}
        self.pod_logs: dict[str, str] = {}
        self.log: list[str] = []
        self.requests: list[str] = []
        self.behave: dict[str, Callable[[Object], None]] = {}
        self.on_write: Callable[[str], None] = lambda _line: None
        self.conflict: set[str] = set()
        self.lacks: set[str] = set()
        self.lock = threading.RLock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def kubeconfig(self, path: Path) -> Path:
        host = f"http://127.0.0.1:{self.server.server_address[1]}"
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "fake",
                    "clusters": [{"name": "fake", "cluster": {"server": host}}],
                    "users": [{"name": "fake", "user": {"token": "t"}}],
                    "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
                }
            )
        )
        return path

    def names(self, plural: str) -> set[str]:
        return {key[2] for key in self.objects if key[0].endswith("/" + plural)}

    def one(self, plural: str, name: str) -> Object:
        return next(
            found for key, found in self.objects.items() if key[0].endswith("/" + plural) and key[2] == name
        )

    def add(self, plural: str, manifest: Object) -> None:
        """Put in an object that someone else made."""
        metadata = manifest["metadata"]
        metadata.setdefault("uid", str(uuid.uuid4()))
        root = "/api/" if "/" not in manifest["apiVersion"] else "/apis/"
        collection = f"{root}{manifest['apiVersion']}/{plural}"
        self.objects[collection, metadata.get("namespace", ""), metadata["name"]] = manifest

    # One request -----------------------------------------------------------------------------------

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        collection, namespace, name, rest = parse(url.path)
        key = (collection, namespace, name)
        if method == "GET" and rest == "log":
            return 200, self.pod_logs.get(name, "")
        if method == "GET" and not name:
            return 200, {"items": self._select(collection, namespace, query.get("labelSelector", ""))}
        if method == "GET":
            found = self.objects.get(key)
            return (200, found) if found else (404, {"message": f"{name} not found"})
        if method == "PATCH":
            return self._apply(key, json.loads(body), query)
        if key not in self.objects:
            return 404, {"message": f"{name} not found"}
        gone = self.objects.pop(key)
        self.declared.pop(key, None)
        self._wrote(f"DELETE {gone['kind']} {name}")
        return 200, {}

    def _apply(self, key: Key, body: Object, query: dict[str, str]) -> tuple[int, Any]:
        live = self.objects.get(key)
        if key[2] in self.conflict and query.get("force") != "true":
            return 409, {"message": 'Apply failed with 1 conflict: conflict with "kubectl": .data.a'}
        future = merge(prune(copy.deepcopy(live), self.declared.get(key, {}), body), body) if live else body
        future = copy.deepcopy(future)
        if live and self._immutable(live, future):
            return 422, {"message": f"{body['kind']} {key[2]} is invalid: field is immutable"}
        metadata = future["metadata"]
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        if not live or live.get("spec") != future.get("spec"):
            metadata["generation"] = metadata.get("generation", 0) + 1
        if query.get("dryRun") == "All":
            return 200, future | {"metadata": metadata | {"managedFields": [{"manager": "x"}]}}
        self.objects[key], self.declared[key] = future, body
        self._status(key, future)
        self._wrote(f"APPLY {body['kind']} {key[2]}")
        return 200, future

    @staticmethod
    def _immutable(live: Object, future: Object) -> bool:
        if live["kind"] == "ConfigMap" and live.get("immutable"):
            return bool(live.get("data") != future.get("data"))
        template = ("spec", "template")
        return live["kind"] == "Job" and dig(live, template) != dig(future, template)

    def _status(self, key: Key, future: Object) -> None:
        if key[2] in self.behave:
            self.behave[key[2]](future)
        elif future["kind"] == "Deployment":
            ready(future)
        elif future["kind"] == "Job":
            complete(future)

    def _wrote(self, line: str) -> None:
        self.log.append(line)
        self.on_write(line)

    def _select(self, collection: str, namespace: str, selector: str) -> list[Object]:
        return [
            found
            for key, found in self.objects.items()
            if key[0] == collection
            and namespace in ("", key[1])
            and all(matches(found, part) for part in selector.split(","))
        ]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # one packet an answer

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with api.lock:
                    api.requests.append(f"{self.command} {self.path}")
                    lacking = any(f"/{plural}" in self.path for plural in api.lacks)
                    answers = (404, "404 page not found\n") if lacking else None
                    code, answer = answers or api.answer(self.command, self.path, body)
                    data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PATCH = do_DELETE = _serve  # noqa: N815 - names given by the standard library

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def parse(path: str) -> tuple[str, str, str, str]:
    """Split a path into collection, namespace, name and subresource."""
    parts = path.strip("/").split("/")
    head, rest = (parts[:2], parts[2:]) if parts[0] == "api" else (parts[:3], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    return "/" + "/".join([*head, rest[0]]), namespace, name, rest[2] if len(rest) > 2 else ""


def matches(found: Object, part: str) -> bool:
    labels = found["metadata"].get("labels", {})
    if not part:
        return True
    if "!=" in part:
        key, value = part.split("!=")
        return labels.get(key) != value
    key, equals, value = part.partition("=")
    return key in labels and (not equals or labels[key] == value)


def dig(value: Object, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key, {})
    return value


def merge(live: Object, body: Object) -> Object:
    merged = dict(live)
    for key, value in body.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def prune(live: Object | None, before: Object, now: Object) -> Object:
    """Take away what was declared before and is not declared now."""
    for key, value in before.items():
        if key not in now:
            (live or {}).pop(key, None)
        elif isinstance(value, dict) and isinstance(now[key], dict):
            prune((live or {}).get(key), value, now[key])
    return live or {}


def ready(deployment: Object) -> None:
    count = deployment["spec"].get("replicas", 1)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), count)
    deployment["status"] = {"observedGeneration": deployment["metadata"]["generation"], **counts}


def complete(job: Object) -> None:
    job["status"] = {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}


def failed(job: Object) -> None:
    job["status"] = {"conditions": [{"type": "Failed", "status": "True", "reason": "PodFailurePolicy"}]}
