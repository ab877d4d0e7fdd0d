"""A small Kubernetes API and small speech servers on loopback, for the real client and the real process."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from release import route

from .plans import RATE, VERSIONS, speech, wav_bytes

TOKEN = "a-token"


LISTED = ("pods", "configmaps", "deployments", "horizontalpodautoscalers")
MERGE = "application/merge-patch+json"


def merged(below, above):
    """Two managers' words; a list is one word."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    both = {key: merged(below[key], above[key]) for key in below.keys() & above.keys()}
    return {**below, **above, **both}


def changed(live, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    below = live if isinstance(live, dict) else {}
    both = {**below, **{key: changed(below.get(key), value) for key, value in patch.items()}}
    return {key: value for key, value in both.items() if value is not None}


def matches(item, labels):
    return labels.items() <= item["metadata"].get("labels", {}).items()


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, body, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "audio/wav" if isinstance(body, bytes) else "application/json"
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serve(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class Api:
    """Objects by path, the requests that came, and failures to give first."""

    def __init__(self):
        self.objects = {}
        self.applied = {}
        self.requests = []
        self.failures = []
        self.lock = threading.RLock()
        self.version = 0
        self.weights = []

    def put(self, path, document):
        with self.lock:
            self.version += 1
            stored = json.loads(json.dumps(document))
            stored["metadata"]["resourceVersion"] = str(self.version)
            stored["metadata"].setdefault("creationTimestamp", "2026-11-23T06:00:00Z")
            self.objects[path] = stored
            if "/virtualservices/" in path:
                parsed = route.parse(stored["spec"]["http"]).weights
                self.weights.append({route.revision_of(host): weight for host, weight in parsed.items()})
            return stored

    def handle(self, method, path, query, body, kind):
        """(status, document); a failure of the list is given instead, once."""
        with self.lock:
            self.requests.append((method, path, query, body, kind))
            if self.failures:
                return self.failures.pop(0), {"kind": "Status", "message": "later"}
            if method == "PATCH" and (kind == MERGE or path.endswith("/scale")):
                return self.change(path, query, body, kind)
            return getattr(self, method.lower())(path, query, body)

    def get(self, path, query, _):
        if path in self.objects:
            return 200, self.objects[path]
        if path.rsplit("/", 1)[-1] in LISTED:
            wanted = dict(part.split("=") for part in query["labelSelector"][0].split(","))
            items = [
                item for place, item in self.objects.items()
                if place.startswith(f"{path}/") and matches(item, wanted)
            ]  # fmt: skip
            return 200, {"items": items, "metadata": {}}
        return 404, {"kind": "Status", "message": "not found"}

    def post(self, path, query, body):
        prefix = body["metadata"].get("generateName")
        name = body["metadata"].setdefault("name", f"{prefix}{self.version}" if prefix else None)
        if f"{path}/{name}" in self.objects:
            return 409, {"kind": "Status", "message": "already exists"}
        return 201, self._apply(f"{path}/{name}", query, body)

    def patch(self, path, query, body):
        live = self.objects.get(path)
        wanted = body["metadata"].get("resourceVersion")
        if wanted is not None and (live is None or live["metadata"]["resourceVersion"] != wanted):
            return 409, {"kind": "Status", "message": "the object has been modified"}
        return 200, self._apply(path, query, body)

    def change(self, path, query, body, kind):
        """A merge patch, or a request for replicas by server-side apply: of what is there."""
        live = self.objects.get(path.removesuffix("/scale"))
        if live is None:
            return 404, {"kind": "Status", "message": "not found"}
        if body["metadata"].pop("resourceVersion") != live["metadata"]["resourceVersion"]:
            return 409, {"kind": "Status", "message": "the object has been modified"}
        if kind == MERGE:
            return 200, self.put(path, changed(live, body))
        owned = {"f:spec": {"f:replicas": {}}}
        entry = {"manager": query["fieldManager"][0], "operation": "Apply", "fieldsV1": owned}
        change = {"metadata": {"managedFields": [entry]}, "spec": body["spec"]}
        return 200, {
            **body,
            "metadata": self.put(path.removesuffix("/scale"), changed(live, change))["metadata"],
        }

    def _apply(self, path, query, body):
        """Each field manager's last word, beside that of the others."""
        words = self.applied.setdefault(path, {}) if path in self.objects else {}
        words.pop(manager := query["fieldManager"][0], None)
        words[manager] = body
        self.applied[path] = words
        whole = {}
        for word in words.values():
            whole = merged(whole, word)
        return self.put(path, whole)

    def delete(self, path, query, body):
        live = self.objects.get(path)
        if live is None:
            return 404, {"kind": "Status", "message": "not found"}
        wanted = ((body or {}).get("preconditions") or {}).get("resourceVersion")
        if wanted not in (None, live["metadata"]["resourceVersion"]):
            return 409, {"kind": "Status", "message": "precondition failed"}
        del self.objects[path]
        return 200, {"kind": "Status", "status": "Success"}

    @contextmanager
    def serving(self):
        api = self

        class Handler(Quiet):
            def do_GET(self):
                parts = urlsplit(self.path)
                raw = self.body()
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    return self.answer(401, {"kind": "Status", "message": "who are you"})
                body = json.loads(raw) if raw else None
                kind = self.headers.get("Content-Type")
                status, found = api.handle(self.command, parts.path, parse_qs(parts.query), body, kind)
                if status == 0:
                    self.close_connection = True
                    return None
                return self.answer(status, found)

            do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

        with serve(Handler) as port:
            yield port


def kubeconfig(folder: Path, port: int) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "test", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(document))
    return path


def voice(choose, asked=None, *, level=0.1, key=""):
    """A handler that speaks as the revision that `choose(headers)` names, to who has the `key`; `level` may
    be a function of the revision."""

    class Handler(Quiet):
        def do_GET(self):
            body = self.body()
            revision = choose(self.headers)
            if asked is not None:
                asked.append((self.path, dict(self.headers), body))
            if revision is None:
                return self.answer(404, {})
            headers = {"X-TTS-Version": VERSIONS[revision], "X-TTS-Revision": revision}
            about = {"version": VERSIONS[revision], "revision": revision, "sampleRate": RATE}
            if self.path == "/version":
                return self.answer(200, about, **headers)
            if key and self.headers.get("Authorization") != f"Bearer {key}":
                return self.answer(401, {"error": {"code": "invalid_api_key"}}, **headers)
            loud = level(revision) if callable(level) else level
            return self.answer(200, wav_bytes(speech(json.loads(body)["input"], level=loud)), **headers)

        do_POST = do_GET  # noqa: N815

    return Handler


ROUTE = "/apis/networking.istio.io/v1/namespaces/tts/virtualservices/voice"


def gateway(api):
    """Chooses as the live route says: by the header of a pinned revision, else by the weights."""
    turn = []

    def choose(headers):
        with api.lock:
            if ROUTE not in api.objects:
                return None
            parsed = route.parse(api.objects[ROUTE]["spec"]["http"])
            turn.append(1)
        wanted = headers.get("x-tts-revision", "")
        if wanted in {route.revision_of(host) for host in parsed.pin_entries}:
            return wanted
        point = len(turn) * 37 % 100
        for host, weight in sorted(parsed.weights.items()):
            if point < weight:
                return route.revision_of(host)
            point -= weight
        return None

    return choose
