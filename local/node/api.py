"""The Kubernetes API over HTTP: requests in, `Objects` in the middle, JSON out."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from local.node.errors import ApiError, bad_request, invalid, not_found
from local.node.kinds import BY_PATH, Kind
from local.node.logs import follow, last_lines
from local.node.objects import Objects, generated_name
from local.node.pods.manager import PodManager
from local.node.scale import scale_change, scale_of
from local.node.selectors import Match, matcher
from local.node.store import Event, Key, Object

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Target:
    """What a path names: a kind in a version, a namespace ("" for all), an object, a subresource."""

    kind: Kind
    version: str
    namespace: str
    name: str
    subresource: str

    @property
    def key(self) -> Key:
        return Key(self.kind, self.namespace, self.name)


def application(objects: Objects, pods: PodManager, *, token: str, ready: Callable[[], bool]) -> Starlette:
    """The API; every path but /readyz and /livez asks for the bearer token."""
    server = _Server(objects, pods)

    def guarded(endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            try:
                if not hmac.compare_digest(given.encode(), token.encode()):
                    raise ApiError(401, "Unauthorized", "The request carries no valid bearer token.")
                return await endpoint(request)
            except ApiError as error:
                return JSONResponse(error.status(), error.code)

        return answer

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok" if ready() else "starting", 200 if ready() else 503)

    async def version(_: Request) -> Response:
        return JSONResponse({"major": "1", "minor": "36", "gitVersion": "v1.36.0+tts-embedded"})

    routes = [Route(path, health) for path in ("/readyz", "/livez", "/healthz")]
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    routes += [
        Route("/api/{version}/{rest:path}", guarded(server.handle), methods=methods),
        Route("/apis/{group}/{version}/{rest:path}", guarded(server.handle), methods=methods),
        Route("/version", guarded(version)),
    ]
    return Starlette(routes=routes)


class _Server:
    def __init__(self, objects: Objects, pods: PodManager) -> None:
        self._objects = objects
        self._store = objects.store
        self._pods = pods

    async def handle(self, request: Request) -> Response:
        target = _target(request)
        if target.subresource:
            if (target.kind.name, target.subresource, request.method) == ("Pod", "log", "GET"):
                return self._log(request, target)
            if (target.kind.name, target.subresource) == ("Deployment", "scale"):
                return await self._scale(request, target)
            raise ApiError(
                404, "NotFound", f"The subresource {target.subresource} is not served by the embedded node."
            )
        if request.method == "GET":
            if target.name:
                return _answer(target, self._objects.get(target.key))
            return self._watch(request, target) if _flag(request, "watch") else self._list(request, target)
        return await self._write(request, target)

    async def _write(self, request: Request, target: Target) -> Response:
        dry_run = request.query_params.get("dryRun") == "All"
        if request.method == "DELETE":
            return await self._delete(request, target, dry_run)
        body = await _body(request)
        _check_identity(target, body)
        manager = request.query_params.get("fieldManager") or _agent(request)
        if request.method == "POST":
            key = Key(target.kind, target.namespace, _new_name(body))
            if target.kind.namespaced and not target.namespace:
                raise bad_request("A namespace is missing in the path.")
            if not key.name:
                raise invalid(target.kind.name, "", ["metadata.name is missing."])
            return _answer(target, self._objects.create(key, body, manager=manager, dry_run=dry_run), 201)
        if not target.name:
            raise ApiError(405, "MethodNotAllowed", f"{request.method} needs the name of an object.")
        if request.method == "PUT":
            return _answer(target, self._objects.replace(target.key, body, manager=manager, dry_run=dry_run))
        existed = self._store.get(target.key) is not None
        done = self._patch(request, target, body, manager=manager, dry_run=dry_run)
        return _answer(target, done, 200 if existed else 201)

    async def _scale(self, request: Request, target: Target) -> Response:
        """A Deployment's number of replicas as an object of its own, read and patched."""
        found = self._objects.get(target.key)
        if request.method == "PATCH":
            change = scale_change(await _body(request))
            manager = request.query_params.get("fieldManager") or _agent(request)
            dry_run = request.query_params.get("dryRun") == "All"
            found = self._patch(request, target, change, manager=manager, dry_run=dry_run)
        elif request.method != "GET":
            raise ApiError(405, "MethodNotAllowed", "The scale of a Deployment is read or patched.")
        return JSONResponse(scale_of(found))

    def _patch(
        self, request: Request, target: Target, body: Object, *, manager: str, dry_run: bool
    ) -> Object:
        how = request.headers.get("content-type", "").split(";")[0]
        if how == "application/apply-patch+yaml":
            if not request.query_params.get("fieldManager"):
                raise bad_request("fieldManager is required for server-side apply.")
            force = _flag(request, "force")
            return self._objects.apply(target.key, body, manager=manager, force=force, dry_run=dry_run)
        strategic = how == "application/strategic-merge-patch+json"
        if how != "application/merge-patch+json" and (not strategic or _has_list(body)):
            raise ApiError(
                415,
                "UnsupportedMediaType",
                f"A patch of the type {how} is not carried out here; use server-side apply or a merge patch.",
            )
        return self._objects.merge(target.key, body, manager=manager, dry_run=dry_run)

    async def _delete(self, request: Request, target: Target, dry_run: bool) -> Response:
        options = await _body(request) if await request.body() else {}
        policy = (
            request.query_params.get("propagationPolicy") or options.get("propagationPolicy") or "Background"
        )
        if policy not in ("Foreground", "Background"):
            raise bad_request(f"propagationPolicy is {policy}; use Foreground or Background.")
        if not target.name:
            raise ApiError(
                405, "MethodNotAllowed", "Deleting a whole collection is not carried out; delete by name."
            )
        done = self._objects.delete(
            target.key,
            foreground=policy == "Foreground",
            preconditions=options.get("preconditions"),
            dry_run=dry_run or "All" in (options.get("dryRun") or []),
        )
        return _answer(target, done)

    def _list(self, request: Request, target: Target) -> Response:
        matches = _matcher(request)
        items = [_shown(target, item) for _, item in self._selected(target) if matches(item)]
        body = {
            "kind": f"{target.kind.name}List",
            "apiVersion": target.kind.api_version(target.version),
            "metadata": {"resourceVersion": str(self._store.version)},
            "items": items,
        }
        return JSONResponse(body)

    def _selected(self, target: Target) -> list[tuple[Key, Object]]:
        return self._store.of_kind(target.kind, target.namespace or None)

    def _watch(self, request: Request, target: Target) -> Response:
        matches = _matcher(request)
        since = request.query_params.get("resourceVersion") or "0"
        limit = float(request.query_params.get("timeoutSeconds") or 3600)
        if not since.isdigit():
            raise bad_request(f"resourceVersion is {since}; it must be a number.")
        return StreamingResponse(
            self._events(target, matches, int(since), limit), media_type="application/json"
        )

    async def _events(self, target: Target, matches: Match, since: int, limit: float) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        end = loop.time() + limit
        if since == 0:
            since = self._store.version
            for _, item in self._selected(target):
                if matches(item):
                    yield _line("ADDED", _shown(target, item))
        history = self._store.history
        oldest = history[0].version if history else self._store.version + 1
        if since + 1 < oldest:
            gone = ApiError(410, "Expired", f"too old resource version: {since} ({oldest})")
            yield _line("ERROR", gone.status())
            return
        while loop.time() < end:
            for event in [event for event in self._store.history if event.version > since]:
                since = event.version
                seen = _seen(event, target, matches)
                if seen:
                    yield _line(seen, _shown(target, event.object))
            await self._store.changed(since, min(30.0, max(0.0, end - loop.time())))

    def _log(self, request: Request, target: Target) -> Response:
        self._objects.get(target.key)
        path = self._pods.log(target.key, previous=_flag(request, "previous"))
        if path is None:
            raise bad_request(f'The pod "{target.name}" has no such log (yet).')
        tail = request.query_params.get("tailLines")
        start = last_lines(path, int(tail)) if tail and tail.isdigit() else b""
        offset = path.stat().st_size if tail else 0
        if not _flag(request, "follow"):
            return Response(start if tail else path.read_bytes(), media_type="text/plain")
        stream = follow(path, start, offset, lambda: self._pods.is_writing(target.key, path))
        return StreamingResponse(stream, media_type="text/plain")


def _target(request: Request) -> Target:
    group, version = request.path_params.get("group", ""), request.path_params["version"]
    parts = [part for part in request.path_params["rest"].split("/") if part]
    namespace = ""
    if len(parts) > 2 and parts[0] == "namespaces" and (group, version, parts[2]) in BY_PATH:
        namespace, parts = parts[1], parts[2:]
    kind = BY_PATH.get((group, version, parts[0])) if parts else None
    if kind is None or len(parts) > 3:
        raise ApiError(
            404, "NotFound", f"The path {request.url.path} names no kind that the embedded platform knows."
        )
    parts += ["", ""]
    if parts[1] and kind.namespaced and not namespace:
        raise not_found(kind.resource, parts[1])
    return Target(kind, version, namespace, parts[1], parts[2])


def _matcher(request: Request) -> Match:
    query = request.query_params
    return matcher(query.get("labelSelector", ""), query.get("fieldSelector", ""))


def _seen(event: Event, target: Target, matches: Match) -> str | None:
    """What a watch with a selector sees of an event: an object that stops matching is gone for it."""
    if event.key.kind is not target.kind or target.namespace not in ("", event.key.namespace):
        return None
    before = event.previous is not None and matches(event.previous)
    after = event.type != "DELETED" and matches(event.object)
    return {(False, True): "ADDED", (True, True): "MODIFIED", (True, False): "DELETED"}.get((before, after))


def _line(kind: str, item: Object) -> str:
    return json.dumps({"type": kind, "object": item}) + "\n"


def _shown(target: Target, item: Object) -> Object:
    return item | {"apiVersion": target.kind.api_version(target.version)}


def _answer(target: Target, item: Object, code: int = 200) -> Response:
    return JSONResponse(_shown(target, item), code)


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in ("true", "1")


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "unknown").split("/")[0]


async def _body(request: Request) -> Object:
    try:
        body: Any = yaml.safe_load(await request.body())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise bad_request(f"The body is neither JSON nor YAML: {error}") from error
    if not isinstance(body, dict) or not isinstance(body.get("metadata", {}), dict):
        raise bad_request("The body must be an object.")
    return body


def _new_name(body: Object) -> str:
    metadata = body.get("metadata", {})
    prefix = metadata.get("generateName")
    return metadata.get("name") or (generated_name(str(prefix)) if prefix else "")


def _check_identity(target: Target, body: Object) -> None:
    metadata = body.get("metadata", {})
    if body.get("kind", target.kind.name) != target.kind.name:
        raise bad_request(f"The body is a {body['kind']}, the path names a {target.kind.name}.")
    for field, wanted in (("name", target.name), ("namespace", target.namespace)):
        if wanted and metadata.get(field, wanted) != wanted:
            raise bad_request(f"metadata.{field} is {metadata[field]}, the path says {wanted}.")


def _has_list(value: Any) -> bool:
    return isinstance(value, list) or (
        isinstance(value, dict) and any(_has_list(item) for item in value.values())
    )
