"""What a release is told: plan.json, as docs/contracts.md promises it. Pure."""

from dataclasses import asdict
from typing import Any

from components.budgets import progress_deadline
from components.identity import content_hash, release_name
from components.labels import revision_labels
from components.pod import CONTAINER_PORT
from components.revision import Revision, Revisions, virtual_service
from components.settings import Settings
from components.storage import gate_audio_place

_GATE_TIMEOUT_SECONDS = 60


def release_plan(settings: Settings, revisions: Revisions) -> dict[str, Any]:
    """The plan, the release's own name included; the name covers all the rest and the release's image."""
    place = gate_audio_place(settings, revisions.target.entry)
    plan = {
        "name": settings.name,
        "namespace": settings.namespace,
        "model": revisions.target.entry.model,
        "target": _target(settings, revisions.target),
        "others": [_target(settings, each) for each in revisions.others],
        "route": virtual_service(settings, revisions),
        "gateway": {"address": settings.gateway_address, "host": settings.host},
        "rollout": _rollout(settings),
        "prometheus": _prometheus(settings),
        # Left out where there are none: the name of a release covers its plan.
        **({"apiKeys": {"secret": settings.callers.api_keys.secret}} if settings.callers.api_keys else {}),
        **({"audioStore": place} if place else {}),
    }
    hash6 = content_hash({"plan": plan, "image": revisions.release_image_hash})
    return {"release": release_name(settings.name, hash6), **plan}


def release_labels(settings: Settings, target: Revision, release: str) -> dict[str, str]:
    """The labels of the Jobs of a release, their pods and ConfigMaps."""
    labels = revision_labels(settings, target.entry, target.name, "release")
    return labels | {"tts/release": release}


def _target(settings: Settings, revision: Revision) -> dict[str, Any]:
    served, entry = revision.served, revision.entry
    return {
        "revision": revision.name,
        "version": entry.version,
        "role": served.role,
        "replicas": served.replicas,
        "maxReplicas": settings.most_replicas(served),
        "startSeconds": progress_deadline(settings, entry),
        "containerPort": CONTAINER_PORT,
        "artifacts": {artifact.path: artifact.sha256 for artifact in entry.artifacts},
        "gate": _gate(settings, revision),
    }


def _gate(settings: Settings, revision: Revision) -> dict[str, Any]:
    entry, gate = revision.entry, revision.entry.gate
    # A version that is known to be slower says so in its entry; otherwise the stack's limit holds.
    common = {
        "texts": list(gate.texts),
        "required": list(gate.required),
        "firstAudioSeconds": gate.first_audio_seconds,
        "firstAudioRatio": gate.first_audio_ratio or settings.rollout.limits.first_audio_ratio,
        "timeoutSeconds": _GATE_TIMEOUT_SECONDS,
    }
    if gate.exchange is not None:
        return common | {"exchange": asdict(gate.exchange)}
    rate, tolerance = gate.baseline_characters_per_second, gate.characters_per_second_tolerance
    return common | {
        "sampleRate": entry.sample_rate,
        "languages": list(entry.languages),
        "charactersPerSecond": {
            "min": round(rate * (1 - tolerance), 2),
            "max": round(rate * (1 + tolerance), 2),
        },
        "rmsDbfs": {"min": gate.rms_dbfs_min, "max": gate.rms_dbfs_max},
        "clippedPercent": gate.clipped_percent,
        "wordErrorRate": {"mean": gate.word_error_mean, "each": gate.word_error_each},
        "qualityMin": gate.quality_min,
        "realTimeFactor": gate.real_time_factor,
    }


def _rollout(settings: Settings) -> dict[str, Any]:
    rollout, limits = settings.rollout, settings.rollout.limits
    return {
        "strategy": rollout.strategy,
        "steps": list(rollout.steps),
        "holdSeconds": rollout.hold_seconds,
        "maxHoldSeconds": rollout.max_hold_seconds,
        "readySeconds": rollout.ready_seconds,
        "minSamples": rollout.min_samples,
        "probesPerSecond": rollout.probes_per_second,
        "limits": {
            "errorPercent": limits.error_percent,
            "firstAudioRatio": limits.first_audio_ratio,
            "firstAudioSeconds": limits.first_audio_seconds,
            "p99Seconds": limits.p99_seconds,
            "p99Ratio": limits.p99_ratio,
        },
    }


def _prometheus(settings: Settings) -> dict[str, Any] | None:
    prometheus = settings.prometheus
    if prometheus is None:
        return None
    return {
        "url": prometheus.url,
        "maxAgeSeconds": prometheus.max_age_seconds,
        "queries": dict(prometheus.queries),
    }
