"""Plans and speech for the tests: documents as the program writes them, and sines instead of voices."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from release import plan as plans
from release import route

NAMESPACE = "tts"
RATE = 24000
V1, V2, V3, V4 = "voice-1-0-0-aaaaaa", "voice-1-1-0-bbbbbb", "voice-1-2-0-cccccc", "voice-1-3-0-dddddd"
RETRIES = {"attempts": 2, "retryOn": "connect-failure,refused-stream"}
VERSIONS = {V1: "1.0.0", V2: "1.1.0", V3: "1.2.0", V4: "1.3.0"}


def host_of(revision: str) -> str:
    return f"{revision}.{NAMESPACE}.svc.cluster.local"


def destination(revision: str) -> dict[str, Any]:
    return {"host": host_of(revision), "port": {"number": 80}}


def pin(revision: str, version: str = "") -> dict[str, Any]:
    return {
        "name": f"pin-{revision}",
        "match": [
            {"headers": {"x-tts-version": {"exact": version or VERSIONS[revision]}}},
            {"headers": {"x-tts-revision": {"exact": revision}}},
        ],
        "route": [{"destination": destination(revision)}],
        "retries": RETRIES,
    }


def old_pin(revision: str) -> dict[str, Any]:
    """As programs before `x-tts-revision` declared it: named by the version, matched by it alone, tried again
    as Istio likes."""
    version = VERSIONS[revision]
    return {
        "name": f"pin-{version}",
        "match": [{"headers": {"x-tts-version": {"exact": version}}}],
        "route": [{"destination": destination(revision)}],
    }


def http_for(weights: Mapping[str, int], *, mirror: str = "", warm: tuple[str, ...] = ()) -> route.Http:
    pins = [pin(revision) for revision in sorted({*weights, *warm, *([mirror] if mirror else [])})]
    given = sorted((name, weight) for name, weight in weights.items() if weight)
    shares = [{"destination": destination(name), "weight": weight} for name, weight in given]
    copies = {
        "name": "speech",
        "match": [{"uri": {"exact": "/v1/audio/speech"}}],
        "route": shares,
        "mirror": destination(mirror) if mirror else {},
        "mirrorPercentage": {"value": 100},
        "retries": RETRIES,
    }
    weighted = {"name": "weighted", "route": shares, "retries": RETRIES}
    return [*pins, *([copies] if mirror else []), weighted]


def virtual_service(weights: Mapping[str, int], **extra: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "voice", "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": "voice"}},
        "spec": {"hosts": ["*"], "gateways": ["voice"], "http": http_for(weights, **extra)},
    }


GATE: dict[str, Any] = {
    "sampleRate": RATE,
    "languages": ["en"],
    "texts": ["A quiet morning."],
    "required": [
        "decodable", "sampleRate", "duration", "level", "clipping", "identity", "intelligibility", "quality",
        "firstAudio", "realTimeFactor",
    ],
    "charactersPerSecond": {"min": 9.9, "max": 20.5},
    "rmsDbfs": {"min": -35, "max": -15},
    "clippedPercent": 0.1,
    "wordErrorRate": {"mean": 0.15, "each": 0.35},
    "qualityMin": 2.9,
    "firstAudioSeconds": 2.0,
    "realTimeFactor": 1.0,
    "firstAudioRatio": 1.25,
    "timeoutSeconds": 60,
}  # fmt: skip
LIMITS: dict[str, Any] = {"errorPercent": 10, "firstAudioRatio": 1.25}


def target_document(
    revision: str, role: str = "stable", replicas: tuple[int, int] = (1, 1), **gate: Any
) -> dict[str, Any]:
    least, most = replicas
    return {
        "revision": revision,
        "version": VERSIONS[revision],
        "role": role,
        "replicas": least,
        "maxReplicas": most,
        "startSeconds": 60,
        "containerPort": 8080,
        "artifacts": {"voice.onnx": "5f" * 32},
        "gate": copy.deepcopy({**GATE, **gate}),
    }


def plan_document(
    revision: str,
    *,
    release: str | None = None,
    canary: Mapping[str, Any] | None = None,
    warm: tuple[str, ...] = (),
    gate: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    prometheus: Mapping[str, Any] | None = None,
    replicas: tuple[int, int] = (1, 1),
    audio_store: str = "",
    **rollout: Any,
) -> dict[str, Any]:
    """`canary`: {"revision", "weight"} or {"revision", "mirror": True}; `replicas`: at least and at most."""
    other = canary["revision"] if canary else ""
    weight = int(canary.get("weight", 0)) if canary else 0
    weights = {revision: 100 - weight, **({other: weight} if weight else {})}
    mirror = other if canary and canary.get("mirror") else ""
    others = [target_document(other, "canary", replicas, **(gate or {}))] if canary else []
    return {
        "release": release or f"voice-release-{revision[-6:]}",
        "name": "voice",
        "namespace": NAMESPACE,
        "model": "voice",
        "target": target_document(revision, replicas=replicas, **(gate or {})),
        "others": [*others, *(target_document(name, "warm", replicas) for name in warm)],
        "route": virtual_service(weights, mirror=mirror, warm=warm),
        "gateway": {"address": "http://127.0.0.1:6006", "host": "*"},
        "rollout": {
            "strategy": "gradual",
            "steps": [10, 50, 100],
            "holdSeconds": 1,
            "maxHoldSeconds": 20,
            "readySeconds": 5,
            "minSamples": 2,
            "probesPerSecond": 10,
            "limits": {**LIMITS, **(limits or {})},
            **rollout,
        },
        "prometheus": prometheus,
        **({"audioStore": audio_store} if audio_store else {}),
    }


def plan_for(revision: str, **settings: Any) -> plans.Plan:
    return plans.parse(json.dumps(plan_document(revision, **settings)))


def wav_bytes(samples: np.ndarray, rate: int = RATE, *, size: int | None = None) -> bytes:
    data = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    sizes = 0xFFFFFFFF if size is None else size
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", sizes, b"WAVE") + form + struct.pack("<4sI", b"data", sizes) + data


def speech(text: str, *, rate: int = RATE, level: float = 0.1, pace: float = 15.0) -> np.ndarray:
    seconds = len(text.strip()) / pace
    time = np.arange(int(seconds * rate)) / rate
    return level * np.sin(2 * np.pi * 220 * time)


@lru_cache
def spoken(text: str, level: float) -> bytes:
    return wav_bytes(speech(text, level=level))
