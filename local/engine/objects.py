"""Bringing one declared Kubernetes object to the cluster, and taking away what is no longer declared."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby

from local.engine import diff
from local.engine.awaits import DEFAULT_TIMEOUT, Waiter
from local.engine.cluster import Cluster, Manifest
from local.engine.diagnosis import holds
from local.engine.errors import ClusterError, EngineError, UnsupportedError
from local.engine.kinds import DEPLOYMENT, INSTALL_ORDER, JOB, NAMESPACE, Address, kind_of
from local.engine.properties import has_unknown
from local.engine.report import Report
from local.engine.steps import MARKS, STACK_LABEL, URN_ANNOTATION, Action, Step, Wanted, stamped

_FORCE = "pulumi.com/patchForce"
_SKIP_AWAIT = "pulumi.com/skipAwait"
_REPLACE_UNREADY = "pulumi.com/replaceUnready"
_TELLING = 6
_OUTCOMES = {DEPLOYMENT: " and ready", JOB: " and complete"}


@dataclass
class Objects:
    """The Kubernetes objects of one stack during one run; `cluster` is None when none runs yet.

    `namespace` is the only one in which the stack's objects are looked for; None for all of them.
    Used from several threads: the program registers independent objects at the same time.
    """

    stack: str
    cluster: Cluster | None
    report: Report
    preview: bool
    namespace: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    counts: dict[Action, int] = field(default_factory=lambda: dict.fromkeys(Action, 0))
    applied: list[Manifest] = field(default_factory=list)
    begun: set[Address] = field(default_factory=set)
    pruning: bool = False

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._before = self.owned()
        self._handled: set[Address] = set()

    def owned(self) -> list[Manifest]:
        """Return the objects in the cluster that carry this stack's label, in the order of installation."""
        if self.cluster is None:
            return []
        selector = f"{STACK_LABEL}={self.stack}"
        found = [
            item
            for kind in INSTALL_ORDER
            for item in self.cluster.find(kind, labels=selector, namespace=self.namespace)
        ]
        return [item for item in found if self._in_scope(item)]

    def prepare(self, manifest: Manifest, *, urn: str, namespace: str) -> Manifest:
        """Return the manifest with the marks of this stack, and its namespace where it names none.

        Raises UnsupportedError for a kind that no stack may declare.
        """
        marked = stamped(manifest, stack=self.stack, urn=urn)
        kind = kind_of(marked)
        if kind not in INSTALL_ORDER:
            raise UnsupportedError(
                f"The program declares a {kind.name}, which releases make themselves: `python -m local` does "
                "not carry it out."
            )
        if kind.namespaced:
            marked["metadata"].setdefault("namespace", namespace)
        return marked

    def leave(self, kind: str, name: str) -> None:
        """Tell what is no object of Kubernetes, or refuse it where it would have to be made."""
        if not self.preview:
            raise UnsupportedError(
                f"The program declares {kind} ({name}), which `python -m local` does not carry out; "
                f"use Pulumi itself (`pulumi up`)."
            )
        self.count(Action.CREATE)
        self.report.step("+", f"{kind} {name}: create (by Pulumi itself, not from here)")

    def bring(self, wanted: Wanted) -> Manifest:
        """Bring one object to what is declared and return it as it is then; a preview only tells.

        Raises EngineError when it cannot be applied or does not become ready.
        """
        if wanted.folder:
            raise UnsupportedError(
                "Argo CD brings the objects of this stack to its cluster (tts:gitops): write them to its "
                f"folder with `make render STACK={self.stack}`."
            )
        with self._lock:
            self._handled.add(wanted.address)
        live = self._present(wanted.address)
        wanted = wanted.beside(live)
        step = self._plan(wanted, live)
        if self.preview:
            self._tell_plan(wanted.address, step)
            return wanted.manifest
        assert self.cluster is not None
        self.applied.append(wanted.manifest)
        if step.action is Action.UNCHANGED and step.live is not None:
            return self._await_unchanged(wanted, step.live)
        began = self.report.seconds
        for old in step.first:
            self._remove(old)
        try:
            live = self.cluster.apply(wanted.manifest, force=wanted.asks(_FORCE))
        except ClusterError as error:
            raise EngineError(self._refusal(wanted, error)) from error
        if step.action in (Action.CREATE, Action.REPLACE):
            self.begun.add(wanted.address)
        if not wanted.asks(_SKIP_AWAIT) and not self._waiter.is_settled(live):
            self.report.step(".", f"{wanted.address}: {step.action.value}, now waits for it")
            live = self._waiter.settle(wanted.address, timeout=wanted.timeout)
        self._tell_done(wanted, step, self.report.seconds - began)
        return live

    def prune(self) -> None:
        """Delete what this stack had before and no longer declares, in reverse order of installation."""
        self.pruning = True
        leaving = [old for old in reversed(self._before) if Address.of(old) not in self._handled]
        if not self.preview:
            self.delete_all(leaving)
            return
        for old in leaving:
            self._delete(old)

    def delete_all(self, found: Iterable[Manifest]) -> None:
        """Delete these objects in their order, those of one kind that follow one another together; each is
        awaited, and one that is gone by then is fine."""
        for _, same in groupby(found, key=lambda old: str(old["kind"])):
            self._delete_together([old for old in same if self._still_there(Address.of(old), old)])

    def _delete_together(self, leaving: Sequence[Manifest]) -> None:
        if len(leaving) < 2:
            for old in leaving:
                self._delete(old)
            return
        with ThreadPoolExecutor(len(leaving), thread_name_prefix="delete") as threads:
            try:
                list(threads.map(self._delete, leaving))
            except BaseException:
                self.stop.set()  # else a person's interrupt would wait for all of them
                raise

    def count(self, action: Action) -> None:
        """Count one thing that was done, for the summary."""
        with self._lock:
            self.counts[action] += 1

    @property
    def _waiter(self) -> Waiter:
        assert self.cluster is not None
        return Waiter(self.cluster, self.report, self.stop)

    def _plan(self, wanted: Wanted, live: Manifest | None) -> Step:
        """Decide what one object needs by what is in the cluster."""
        others = tuple(old for old in self._before if self._was(old, wanted))
        if live is None:
            if others and wanted.delete_before_replace:
                names = ", ".join(old["metadata"]["name"] for old in others)
                return Step(Action.REPLACE, reason=f"takes the place of {names}", first=others)
            return Step(Action.CREATE)
        self._refuse_foreign(wanted, live)
        if wanted.address.kind == JOB and holds(live, "Failed") and wanted.asks(_REPLACE_UNREADY):
            return Step(Action.REPLACE, live, reason="the one before failed", first=(live,))
        return self._compare(wanted, live)

    def _compare(self, wanted: Wanted, live: Manifest) -> Step:
        assert self.cluster is not None
        known = (
            diff.without_unknown(wanted.manifest, live) if has_unknown(wanted.manifest) else wanted.manifest
        )
        try:
            future = self.cluster.apply(known, force=wanted.asks(_FORCE), dry_run=True)
        except ClusterError as error:
            if error.immutable:
                return Step(Action.REPLACE, live, reason=str(error), first=(live,))
            raise EngineError(self._refusal(wanted, error)) from error
        found = diff.changes(live, future) + diff.unknown_changes(wanted.manifest, live)
        return Step(Action.UPDATE if found else Action.UNCHANGED, live, found)

    def _present(self, address: Address) -> Manifest | None:
        """Return the live object; one that is being deleted is waited for and counts as gone."""
        live = self.cluster.get(address) if self.cluster else None
        if live is not None and live["metadata"].get("deletionTimestamp"):
            if not self.preview:
                self.report.step(".", f"{address} is being deleted; waits until it is gone")
                self._waiter.gone(address, uid=live["metadata"]["uid"])
            return None
        return live

    def _in_scope(self, found: Manifest) -> bool:
        return found["kind"] != NAMESPACE.name or self.namespace in (None, found["metadata"]["name"])

    def _still_there(self, address: Address, old: Manifest) -> bool:
        assert self.cluster is not None
        live = self.cluster.get(address)
        return live is not None and live["metadata"]["uid"] == old["metadata"]["uid"]

    def _was(self, old: Manifest, wanted: Wanted) -> bool:
        urn = old["metadata"].get("annotations", {}).get(URN_ANNOTATION)
        return bool(urn == wanted.urn and Address.of(old) != wanted.address)

    def _refuse_foreign(self, wanted: Wanted, live: Manifest) -> None:
        other = live["metadata"].get("labels", {}).get(STACK_LABEL, self.stack)
        if other != self.stack:
            raise EngineError(
                f"{wanted.address} belongs to stack {other}; "
                f"give this stack another `tts:name` or `tts:namespace`."
            )

    def _refusal(self, wanted: Wanted, error: ClusterError) -> str:
        if error.code == 409:
            return (
                f"{wanted.address}: another field manager owns what this stack declares: {error}. Take that "
                f'manager\'s change back, or declare the annotation {_FORCE}: "true" on the object.'
            )
        return f"{wanted.address}: {error}"

    def _await_unchanged(self, wanted: Wanted, live: Manifest) -> Manifest:
        if not wanted.asks(_SKIP_AWAIT) and not self._waiter.is_settled(live):
            self.report.step(".", f"{wanted.address} is as declared and not ready yet; waits for it")
            live = self._waiter.settle(wanted.address, timeout=wanted.timeout)
        self.count(Action.UNCHANGED)
        return live

    def _delete(self, old: Manifest) -> None:
        others = self._other_stacks_in(old) if old["kind"] == NAMESPACE.name else set()
        if others:
            name, who = old["metadata"]["name"], ", ".join(sorted(others))
            self.report.step(".", f"Namespace {name} stays: stack {who} has objects in it")
            return
        self.count(Action.DELETE)
        if self.preview:
            self.report.step(MARKS[Action.DELETE], f"{Address.of(old)}: delete (no longer declared)")
        else:
            self._remove(old)

    def _other_stacks_in(self, namespace: Manifest) -> set[str]:
        assert self.cluster is not None
        selector, name = f"{STACK_LABEL},{STACK_LABEL}!={self.stack}", namespace["metadata"]["name"]
        kinds = [kind for kind in INSTALL_ORDER if kind.namespaced]
        found = [item for kind in kinds for item in self.cluster.find(kind, labels=selector, namespace=name)]
        return {item["metadata"]["labels"][STACK_LABEL] for item in found}

    def _remove(self, old: Manifest) -> None:
        assert self.cluster is not None
        address, began = Address.of(old), self.report.seconds
        self.cluster.delete(address)
        self._waiter.gone(address, uid=old["metadata"]["uid"], timeout=DEFAULT_TIMEOUT + _grace(old))
        took = self.report.seconds - began
        self.report.step(MARKS[Action.DELETE], f"{address}: deleted{_took(took)}")

    def _tell_plan(self, address: Address, step: Step) -> None:
        self.count(step.action)
        if step.action is Action.UNCHANGED:
            return
        word = step.action.name.lower()
        shown = [str(change) for change in step.changes[:_TELLING]]
        if len(step.changes) > _TELLING:
            shown.append(f"and {len(step.changes) - _TELLING} more")
        reason = f" ({step.reason})" if step.reason else ""
        self.report.step(MARKS[step.action], f"{address}: {word}{reason}", shown)
        for old in step.first:
            if Address.of(old) != address:
                self.report.step(
                    MARKS[Action.DELETE], f"{Address.of(old)}: delete (makes room for {address})"
                )
                self._handled.add(Address.of(old))

    def _tell_done(self, wanted: Wanted, step: Step, seconds: float) -> None:
        self.count(step.action)
        shown = [str(change) for change in step.changes[:_TELLING]]
        outcome = "" if wanted.asks(_SKIP_AWAIT) else _OUTCOMES.get(wanted.address.kind, "")
        done = f"{wanted.address}: {step.action.value}{outcome}{_took(seconds)}"
        self.report.step(MARKS[step.action], done, shown)


def _grace(old: Manifest) -> float:
    """Seconds that the pods of an object have to end."""
    pod = old.get("spec", {}).get("template", {}).get("spec", {})
    return float(pod.get("terminationGracePeriodSeconds", 0))


def _took(seconds: float) -> str:
    return f" ({seconds:.1f} s)" if seconds >= 0.5 else ""
