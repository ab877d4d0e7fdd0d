"""How an update ended, in words: what changed, what remains, and the line to type next."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from local.engine.cluster import Manifest
from local.engine.config import StackConfig
from local.engine.diagnosis import holds
from local.engine.errors import EngineError
from local.engine.kinds import DEPLOYMENT, POD, VIRTUAL_SERVICE
from local.engine.objects import Objects
from local.engine.platform import Platform
from local.engine.report import Report
from local.engine.route import Share, shares
from local.engine.steps import Action
from local.engine.tally import guarded, tell_tally
from local.engine.target import Target


def tell_success(
    target: Target, config: StackConfig, objects: Objects, outputs: Mapping[str, Any], platform: Platform
) -> None:
    """What changed, the outputs, the URL and a request to try."""
    report = objects.report
    changed = summary(objects)
    if changed:
        _tell_without_effect(platform.without_effect(objects.applied), report)
    report.say(f"{changed}." if changed else "Nothing changed: the stack is as its config says.")
    release = guarded(objects.applied)
    if objects.cluster and release and objects.begun.intersection(release.jobs):
        tell_tally(report, objects.cluster, release, wait=True)
    for name, value in sorted(outputs.items()):
        if name != "url" and value != "" and isinstance(value, str | int | float):
            report.say(f"  {name}: {value}")
    url = platform.url(str(outputs.get("url", "")))
    version = outputs.get("modelVersion") or config.get("modelVersion")
    if version:
        report.say(f"{config.get('model', target.stack)} {version} is live{f' at {url}' if url else ''}.")
    if url:
        speech = '{"model": "tts", "input": "Good morning.", "response_format": "wav"}'
        report.say(
            f"Try: curl -s {url}/v1/audio/speech -H 'Content-Type: application/json' -d '{speech}' -o out.wav"
        )
    report.say(f"Done in {report.seconds:.1f} s.")


def _tell_without_effect(sentences: Sequence[str], report: Report) -> None:
    """What the platform accepts and does not carry out, in one paragraph; each reason stands in its list."""
    if not sentences:
        return
    names = "; ".join(sentence.partition(" has no effect here")[0] for sentence in sentences)
    report.say("Accepted without effect on this machine (the reasons are in local/node/supported.py):")
    report.say(textwrap.fill(f"{names}.", width=108, initial_indent="  ", subsequent_indent="  "))


def tell_failure(
    failures: Sequence[Exception], objects: Objects, target: Target, config: StackConfig
) -> None:
    """Why it failed, what remains of the attempt, what is live, and the one line that reverts."""
    report = objects.report
    for failure in failures:
        report.failure(str(failure))
    if not objects.applied:
        report.say("Nothing was changed.")
        return
    release = guarded(objects.applied)
    if objects.cluster and release:
        tell_tally(report, objects.cluster, release, wait=False)
    live = _live(objects)
    _tell_remains(objects, live)
    if live and live[0].version != config.get("modelVersion"):
        version = live[0].version
        report.say(f"Version {version} is live. To go back: make release VERSION={version} {target.words}")
    elif live:
        report.say(
            f"Version {live[0].version} is live. To go back: undo the edit, then make up {target.words}"
        )
    else:
        report.say(f"No version is live. To take all away: make down {target.words}")
    report.say(f"Failed after {report.seconds:.1f} s.")


def _tell_remains(objects: Objects, live: Sequence[Share]) -> None:
    """The candidate's pods stay to be looked at; nothing that the config no longer declares was deleted."""
    serving = {share.revision for share in live}
    for pod in _candidate_pods(objects, serving):
        state = "ready, without traffic" if holds(pod, "Ready") else "not ready"
        objects.report.say(f"Pod {pod['metadata']['name']} remains until an `up` succeeds: {state}.")
    if not objects.pruning:
        objects.report.say("What the config no longer declares was not deleted.")


def _candidate_pods(objects: Objects, serving: Collection[str]) -> list[Manifest]:
    if objects.cluster is None:
        return []
    found = []
    try:
        for deployment in objects.owned():
            metadata = deployment["metadata"]
            if deployment["kind"] == DEPLOYMENT.name and metadata["name"] not in serving:
                labels = deployment["spec"]["selector"]["matchLabels"]
                selector = ",".join(f"{key}={value}" for key, value in labels.items())
                found += objects.cluster.find(POD, labels=selector, namespace=metadata["namespace"])
    except EngineError:
        return []
    return found


def _live(objects: Objects) -> tuple[Share, ...]:
    try:
        routes = [found for found in objects.owned() if found["kind"] == VIRTUAL_SERVICE.name]
    except EngineError:
        return ()
    return next((found for found in map(shares, routes) if found and found[0].version), ())


def summary(objects: Objects) -> str:
    """The counts of what was done, or would be done, to objects; empty where nothing changes."""
    words = {action: action.value for action in Action}
    if objects.preview:
        words = {action: f"to {action.name.lower()}" for action in Action}
        words[Action.UNCHANGED] = Action.UNCHANGED.value
    parts = [f"{count} {words[action]}" for action, count in objects.counts.items() if count]
    return (
        ", ".join(parts)
        if any(objects.counts[action] for action in Action if action is not Action.UNCHANGED)
        else ""
    )
