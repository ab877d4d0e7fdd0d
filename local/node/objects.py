"""What a write to the API means: admission, server-side apply, optimistic locking, deletion."""

from __future__ import annotations

import copy
import re
import secrets
import uuid

from local.node import clock, fields
from local.node.errors import ApiError, already_exists, conflict, invalid, not_found
from local.node.kinds import BY_NAME
from local.node.store import Key, Object, Store
from local.node.supported import refusals

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
EVENTS_KEPT = 500
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
EVENT = BY_NAME["Event"]
FOREGROUND = "foregroundDeletion"
OWNED_BY_CONTROLLERS = ("Namespace", "Deployment", "Job", "Pod")  # their deletion takes time
IMMUTABLE = {
    "Deployment": ("selector",),
    "Job": ("template", "completions"),
}


class Objects:
    """The objects of a store under the rules of the API; methods answer the object as it is afterwards."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, key: Key) -> Object:
        found = self.store.get(key)
        if found is None:
            raise not_found(key.kind.resource, key.name)
        return found

    def create(self, key: Key, body: Object, *, manager: str, dry_run: bool = False) -> Object:
        if self.store.get(key):
            raise already_exists(key.kind.resource, key.name)
        fresh = self._fresh(key, fields.declared(body))
        return self._commit(key, None, fields.update(None, fresh, manager=manager, time=clock.now()), dry_run)

    def replace(self, key: Key, body: Object, *, manager: str, dry_run: bool = False) -> Object:
        live = self.get(key)
        self._check_lock(key, live, body)
        new = _keep_server_fields(live, fields.declared(body))
        return self._commit(key, live, fields.update(live, new, manager=manager, time=clock.now()), dry_run)

    def merge(self, key: Key, patch: Object, *, manager: str, dry_run: bool = False) -> Object:
        live = self.get(key)
        self._check_lock(key, live, patch)
        body = fields.merge_patch(fields.declared(live), fields.declared(patch))
        new = _keep_server_fields(live, body)
        return self._commit(key, live, fields.update(live, new, manager=manager, time=clock.now()), dry_run)

    def apply(
        self, key: Key, body: Object, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Object:
        live = self.store.get(key)
        self._check_lock(key, live, body)
        base = live or self._fresh(key, {})
        try:
            new = fields.apply(base, body, manager=manager, force=force, time=clock.now())
        except fields.ConflictError as error:
            raise ApiError(
                409, "Conflict", str(error), {"name": key.name, "kind": key.kind.resource}
            ) from error
        return self._commit(key, live, new, dry_run)

    def delete(
        self,
        key: Key,
        *,
        foreground: bool = False,
        preconditions: dict[str, str] | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Delete at once, or mark as being deleted where pods or dependents have to end first."""
        live = self.get(key)
        for field, wanted in (preconditions or {}).items():
            if live["metadata"].get(field) != wanted:
                raise conflict(
                    key.kind.resource,
                    key.name,
                    f"its {field} is {live['metadata'].get(field)}, not {wanted}.",
                )
        waits = key.kind.name in ("Namespace", "Pod") or (
            foreground and key.kind.name in OWNED_BY_CONTROLLERS
        )
        if dry_run:
            return live
        if not waits:
            self.store.delete(key)
            return live
        if "deletionTimestamp" in live["metadata"]:
            return live
        marks: Object = {"deletionTimestamp": clock.now()}
        if key.kind.name != "Pod":
            marks["finalizers"] = [FOREGROUND]
        else:
            marks["deletionGracePeriodSeconds"] = live["spec"].get("terminationGracePeriodSeconds", 30)
        return self.store.put(key, live | {"metadata": live["metadata"] | marks})

    def set_status(self, key: Key, status: Object) -> None:
        """Write a status if the object still exists and it differs."""
        live = self.store.get(key)
        if live is not None and live.get("status") != status:
            self.store.put(key, live | {"status": status})

    def add(self, key: Key, body: Object) -> Object:
        """Create an object of the node's own (a pod of a Deployment, the namespace `default`)."""
        return self.store.put(key, self._fresh(key, body))

    def _fresh(self, key: Key, body: Object) -> Object:
        metadata = {
            **body.get("metadata", {}),
            "name": key.name,
            **({"namespace": key.namespace} if key.kind.namespaced else {}),
            "uid": str(uuid.uuid4()),
            "creationTimestamp": clock.now(),
            "generation": 1,
        }
        kind = key.kind
        return {
            "apiVersion": kind.api_version(kind.versions[0]),
            "kind": kind.name,
            **body,
            "metadata": metadata,
        }

    def _commit(self, key: Key, live: Object | None, new: Object, dry_run: bool) -> Object:
        self._admit(key, live, new)
        new = _defaulted(new)
        if live is not None:
            if _same(live, new):
                return live
            if live.get("spec") != new.get("spec"):
                new["metadata"]["generation"] = live["metadata"]["generation"] + 1
        if dry_run:
            return new
        written = self.store.put(key, new)
        if key.kind is EVENT:
            self._forget_events()
        return written

    def _admit(self, key: Key, live: Object | None, new: Object) -> None:
        try:
            sentences = refusals(new)
        except (AttributeError, KeyError, TypeError) as error:
            raise invalid(
                key.kind.name, key.name, [f"A field has a value of the wrong type ({error})."]
            ) from error
        if not NAME.fullmatch(key.name):
            sentences.append(
                f"metadata.name {key.name!r} must be lower case letters, digits, dashes and dots."
            )
        if live is not None and not sentences:
            sentences += _immutable(live, new)
        if key.kind.name == "VirtualService" and not sentences:
            sentences += self._routed_twice(key, new)
        if sentences:
            raise invalid(key.kind.name, key.name, sentences)
        if key.kind.namespaced and live is None:
            namespace = self.store.get(Key(BY_NAME["Namespace"], "", key.namespace))
            if namespace is None:
                raise not_found("namespaces", key.namespace)
            if "deletionTimestamp" in namespace["metadata"]:
                raise ApiError(
                    403, "Forbidden", f'The namespace "{key.namespace}" is being deleted; try again later.'
                )

    def _forget_events(self) -> None:
        """Kubernetes drops events after an hour; here the oldest go once there are too many."""
        found = sorted(
            self.store.of_kind(EVENT), key=lambda item: int(item[1]["metadata"]["resourceVersion"])
        )
        for key, _ in found[:-EVENTS_KEPT]:
            self.store.delete(key)

    def _routed_twice(self, key: Key, new: Object) -> list[str]:
        return [
            f"spec.hosts names {host}, which VirtualService {other.namespace}/{other.name}"
            " routes already on this gateway;"
            " give one of them another host."
            for other, value in self.store.of_kind(key.kind)
            if other != key
            for host in sorted(set(value["spec"]["hosts"]) & set(new["spec"]["hosts"]))
        ]

    def _check_lock(self, key: Key, live: Object | None, body: Object) -> None:
        wanted = body.get("metadata", {}).get("resourceVersion")
        if live is None and wanted:
            raise conflict(
                key.kind.resource, key.name, f"it does not exist, but version {wanted} was asked for."
            )
        if live is not None and wanted and wanted != live["metadata"]["resourceVersion"]:
            raise conflict(
                key.kind.resource,
                key.name,
                "the object has been modified; please apply your changes to the latest version and try again",
            )
        uid = body.get("metadata", {}).get("uid")
        if live is not None and uid and uid != live["metadata"]["uid"]:
            raise conflict(key.kind.resource, key.name, f"its uid is {live['metadata']['uid']}, not {uid}.")


def generated_name(prefix: str) -> str:
    """A name of its own for an object that somebody only gave the beginning of a name."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(5))


def _keep_server_fields(live: Object, body: Object) -> Object:
    kept = {k: v for k, v in live["metadata"].items() if k in fields.SERVER_METADATA}
    result = {"apiVersion": live["apiVersion"], "kind": live["kind"], **body}
    result["metadata"] = body.get("metadata", {}) | kept
    return result | ({"status": live["status"]} if "status" in live else {})


def _defaulted(value: Object) -> Object:
    value = copy.deepcopy(value)
    if value["kind"] == "Deployment":
        value["spec"].setdefault("replicas", 1)
    return value


def _same(live: Object, new: Object) -> bool:
    def stripped(value: Object) -> Object:
        metadata = {k: v for k, v in value["metadata"].items() if k not in ("resourceVersion", "generation")}
        return value | {"metadata": metadata}

    return stripped(live) == stripped(new)


def _immutable(live: Object, new: Object) -> list[str]:
    sentences = [
        f"spec.{field}: Invalid value: field is immutable."
        for field in IMMUTABLE.get(live["kind"], ())
        if live["spec"].get(field) != new["spec"].get(field)
    ]
    if live["kind"] == "ConfigMap" and live.get("immutable"):
        sentences += [
            f"{field}: Forbidden: field is immutable when `immutable` is set."
            for field in ("data", "immutable")
            if live.get(field) != new.get(field)
        ]
    return sentences
