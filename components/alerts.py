"""The alerts about a stack. Pure functions of what the stack says.

Each has a page in docs/runbooks, named after it. In a sentence `{{ ... }}` is Prometheus' own template."""

from components.expressions import USERS
from components.revision import Revision
from components.watched import CRITICAL, WARNING, Alert, Watched

_WINDOW = "2m"
_SHARE = "{{ $value | humanizePercentage }}"
_SECONDS = "{{ $value | humanizeDuration }}"
_VERSION = "version {{ $labels.version }}"
_AVAILABLE_PODS = "kube_deployment_status_replicas_available"


def release_alerts(watched: Watched) -> list[Alert]:
    """What is told of releases: in force before the first one begins."""
    return [
        Alert(
            "TtsReleaseFailed",
            f"{watched.expressions.failed_releases()} == 1",
            1,
            WARNING,
            f"A release of {watched.about} failed",
            f"The release {{{{ $labels.job_name }}}} of {watched.about} failed; what served before it still "
            "serves. Read its verdict, then mend the version, or reverse the edit and bring the stack up.",
        )
    ]


def service_alerts(watched: Watched) -> list[Alert]:
    """What is told of the servers and their route: in force once a release has passed."""
    alerts = [
        *_errors(watched),
        *_times(watched),
        *_room(watched),
        *_silence(watched),
        *_loads(watched),
        *_routes(watched),
    ]
    if watched.settings.resources.gpus:
        alerts += _gpus(watched)
    if kept := _kept(watched):
        alerts.append(_store(watched, kept))
    return alerts


def _kept(watched: Watched) -> list[str]:
    """The metrics of what the servers keep."""
    settings = watched.settings
    if settings.store is None:
        return []
    outputs = ["tts_store_writes_total"] if settings.store.outputs else []
    return outputs + ([] if settings.callers.record_days is None else ["tts_record_writes_total"])


def _errors(watched: Watched) -> list[Alert]:
    """At the gateway, which also sees that nobody answers, and at the servers, which also see an answer that
    breaks off."""
    asked, percent = watched.expressions, watched.monitoring.limits.error_percent
    limit, summary = percent / 100, f"Callers of {watched.about} get errors"
    act = f"(limit {percent:g} %). If a release has just passed, bring the version before it back."
    return [
        Alert(
            "TtsErrors",
            f"{asked.routed_errors(_WINDOW)} > {limit:g}",
            3,
            CRITICAL,
            summary,
            f"{_SHARE} of the requests for {{{{ $labels.revision }}}} ({watched.about}) end in an error at "
            f"the gateway {act}",
            {"seen_by": "gateway"},
        ),
        Alert(
            "TtsErrors",
            f"{asked.share('5..', _WINDOW)} > {limit:g}",
            3,
            CRITICAL,
            summary,
            f"{_SHARE} of the answers of {_VERSION} ({watched.about}) end in an error at the server {act}",
            {"seen_by": "server"},
        ),
    ]


def _times(watched: Watched) -> list[Alert]:
    asked, limits = watched.expressions, watched.monitoring.limits
    first, p99 = limits.first_audio_seconds, limits.p99_seconds
    return [
        Alert(
            "TtsSlowFirstAudio",
            f"{asked.quantile(0.95, 'tts_first_audio_seconds', '5m')} > {first:g}",
            10,
            WARNING,
            f"Callers of {watched.about} wait long for the first sound",
            f"5 of 100 callers of {_VERSION} ({watched.about}) wait {_SECONDS} or longer for the first sound "
            f"(limit {first:g} s). Give it more pods, or bring the version before it back.",
        ),
        Alert(
            "TtsSlowAnswers",
            f"{asked.quantile(0.99, 'tts_request_seconds', '5m')} > {p99:g}",
            10,
            WARNING,
            f"Answers of {watched.about} take long",
            f"1 of 100 answers of {_VERSION} ({watched.about}) takes {_SECONDS} or longer (limit {p99:g} s). "
            "See whether texts got longer or speech got slower; then give it more pods, or go back.",
        ),
    ]


def _room(watched: Watched) -> list[Alert]:
    asked, limits = watched.expressions, watched.monitoring.limits
    return [
        Alert(
            "TtsQueueLong",
            f"{asked.quantile(0.95, 'tts_queue_seconds', '5m')} > {limits.queue_seconds:g}",
            5,
            WARNING,
            f"Callers of {watched.about} queue",
            f"5 of 100 callers of {_VERSION} ({watched.about}) wait {_SECONDS} or longer to be let in (limit "
            f"{limits.queue_seconds:g} s). Raise tts:replicas, or tts:autoscaling.maxReplicas.",
        ),
        Alert(
            "TtsTurnedAway",
            f"{asked.share('429', '5m')} > {limits.refused_percent / 100:g}",
            5,
            WARNING,
            f"{watched.about} turns callers away",
            f"{_SHARE} of the requests to {_VERSION} ({watched.about}) are told to come back later (limit "
            f"{limits.refused_percent:g} %). Raise tts:replicas, or find the key that asks for too much.",
        ),
    ]


def _silence(watched: Watched) -> list[Alert]:
    asked, minutes = watched.expressions, watched.monitoring.limits.quiet_minutes
    alerts = [
        Alert(
            "TtsNoMetrics",
            f"absent({asked.served('tts_slots')})",
            5,
            CRITICAL,
            f"Nothing is heard of {watched.about}",
            f"No server of {watched.about} reports, so no other alert about it can come. See whether its "
            "pods run, and whether Prometheus reaches them.",
        )
    ]
    if minutes:
        alerts.append(
            Alert(
                "TtsNoTraffic",
                f"sum(rate({asked.served('tts_requests_total', USERS)}[5m])) == 0",
                minutes,
                WARNING,
                f"Nobody asks {watched.about}",
                f"No caller has asked {watched.about} for {minutes} minutes, though its servers run. See "
                "whether requests still reach the gateway, and under the right host.",
            )
        )
    return alerts


def _loads(watched: Watched) -> list[Alert]:
    """A load that nearly takes its budget: on a slower node the pod would be ended before it is ready."""
    budgets = {each.entry.version: each.entry.load_budget_seconds for each in watched.revisions.all}
    percent = watched.monitoring.limits.load_percent
    series = {
        version: watched.expressions.served("tts_model_load_seconds", f'version="{version}"')
        for version in budgets
    }
    return [
        Alert(
            "TtsSlowLoad",
            f"max by (version) ({series[version]}) > {budget * percent / 100:g}",
            1,
            WARNING,
            f"A model of {watched.about} loads slowly",
            f"A pod of {_VERSION} ({watched.about}) took {_SECONDS} to load of the {budget} s that its "
            "catalog entry allows; on a slower node it would be ended before it is ready. Mend the load, or "
            "raise load.budgetSeconds.",
            {"version": version},
        )
        for version, budget in budgets.items()
    ]


def _routes(watched: Watched) -> list[Alert]:
    """The route leads to pods that are not there. What is declared is known without a request; what somebody
    changed by hand is seen by the requests that go there."""
    asked = watched.expressions
    ready = asked.deployed(_AVAILABLE_PODS)
    # Without kube-state-metrics nothing is known, which is not to be told as an alert.
    known = f"count({_AVAILABLE_PODS}) > 0"
    declared = [
        _unready(
            watched,
            f"absent({_available(watched, each)} > 0) and on () {known}",
            revision=each.name,
            labels={"revision": each.name, "seen_by": "route"},
        )
        for each in watched.revisions.all
        if each.served.weight
    ]
    by_requests = f"({asked.routed(_WINDOW)} > 0 unless on (revision) {ready} > 0) and on () {known}"
    found = "{{ $labels.revision }}"
    return [*declared, _unready(watched, by_requests, revision=found, labels={"seen_by": "gateway"})]


def _unready(watched: Watched, expression: str, *, revision: str, labels: dict[str, str]) -> Alert:
    return Alert(
        "TtsRouteOnUnreadyRevision",
        expression,
        3,
        CRITICAL,
        f"The route of {watched.about} leads nowhere",
        f"{revision} of {watched.about} is given requests and has no ready pod. Bring its pods back, or move "
        "the weights: bring the version before it back.",
        labels,
    )


def _available(watched: Watched, revision: Revision) -> str:
    return f'{_AVAILABLE_PODS}{{namespace="{watched.settings.namespace}",deployment="{revision.name}"}}'


def _gpus(watched: Watched) -> list[Alert]:
    asked, limits = watched.expressions, watched.monitoring.limits
    where = "GPU {{ $labels.gpu }} of {{ $labels.Hostname }}"
    return [
        Alert(
            "TtsGpuMemory",
            f"{asked.gpu_memory()} > {limits.gpu_memory_percent / 100:g}",
            10,
            WARNING,
            f"A GPU of {watched.about} has little memory left",
            f"{where}, which {watched.about} runs on, has {_SHARE} of its memory in use (limit "
            f"{limits.gpu_memory_percent} %). The next longer text may end its pod: lower tts:slots.",
        ),
        Alert(
            "TtsGpuBusy",
            f"avg_over_time({asked.gpu('DCGM_FI_DEV_GPU_UTIL')}[15m:]) > {limits.gpu_percent}",
            15,
            WARNING,
            f"A GPU of {watched.about} is always busy",
            f"{where}, which {watched.about} runs on, was in use for {{{{ $value | humanize }}}} % of the "
            f"last 15 minutes (limit {limits.gpu_percent} %). Raise tts:replicas before callers queue.",
        ),
    ]


def _store(watched: Watched, metrics: list[str]) -> Alert:
    lost = [watched.expressions.served(metric, 'result!="stored"') for metric in metrics]
    return Alert(
        "TtsStoreFailing",
        " or ".join(f"sum(increase({series}[15m])) > 0" for series in lost),
        5,
        WARNING,
        f"Answers of {watched.about} are not kept",
        "{{ $value | humanize }} answers or records of the last 15 minutes "
        f"({watched.about}) did not reach tts:store; callers were answered. See whether it is full or away.",
    )
