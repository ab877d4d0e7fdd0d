"""What the dashboard of a stack shows: panels and their queries. Pure functions of what the stack says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from components.expressions import USERS, Expressions
from components.watched import Watched

_WINDOW = "$__rate_interval"


@dataclass(frozen=True)
class Panel:
    """One graph: `queries` are pairs of PromQL and legend; `unit` is one of Grafana's; a line is drawn at
    `limit`, which an alert is about."""

    title: str
    about: str
    unit: str
    queries: Sequence[tuple[str, str]]
    limit: float | None = None
    stacked: bool = False


def panel_rows(watched: Watched) -> list[tuple[str, list[Panel]]]:
    """The rows with their titles, from what callers get down to what it runs on."""
    asked = watched.expressions
    return [
        ("What callers get", [*_answers(watched), *_times(watched)]),
        ("The route and its releases", [*_route(asked), *_releases(asked)]),
        ("Room", [*_room(watched), *_waits(watched), *_kept(watched)]),
        ("Processes and GPUs", _machines(watched)),
    ]


def _answers(watched: Watched) -> list[Panel]:
    asked, limits = watched.expressions, watched.monitoring.limits
    return [
        Panel(
            "Answers",
            "Answers to callers a second, by version. Probes of a release and copies are not in it.",
            "reqps",
            [(asked.requests(_WINDOW), "{{version}}")],
            stacked=True,
        ),
        Panel(
            "Errors",
            "Share of the answers with a status of 500 and above, as the gateway and the servers see it.",
            "percentunit",
            [
                (asked.routed_errors(_WINDOW), "gateway {{revision}}"),
                (asked.share("5..", _WINDOW), "server {{version}}"),
            ],
            limit=limits.error_percent / 100,
        ),
        Panel(
            "Audio",
            "Seconds of audio made each second, by version.",
            "short",
            [
                (
                    f"sum by (version) (rate({asked.served('tts_audio_seconds_total', USERS)}[{_WINDOW}]))",
                    "{{version}}",
                )
            ],
            stacked=True,
        ),
    ]


def _times(watched: Watched) -> list[Panel]:
    asked, limits = watched.expressions, watched.monitoring.limits
    return [
        Panel(
            "First audio",
            "Seconds from a request to its first sound.",
            "s",
            _quantiles(asked, "tts_first_audio_seconds", (0.5, 0.95)),
            limit=limits.first_audio_seconds,
        ),
        Panel(
            "Whole answers",
            "Seconds from a request to the end of its audio.",
            "s",
            _quantiles(asked, "tts_request_seconds", (0.5, 0.99)),
            limit=limits.p99_seconds,
        ),
        Panel(
            "Real-time factor",
            "Seconds of work for a second of audio; above 1 speech is slower than it is spoken.",
            "short",
            _quantiles(asked, "tts_real_time_factor", (0.5, 0.95)),
            limit=1,
        ),
    ]


def _route(asked: Expressions) -> list[Panel]:
    return [
        Panel(
            "Where the gateway sends requests",
            "Requests a second, by revision.",
            "reqps",
            [(asked.routed(_WINDOW), "{{revision}}")],
            stacked=True,
        ),
        Panel(
            "Ready pods",
            "By revision, as kube-state-metrics tells it.",
            "short",
            [(asked.deployed("kube_deployment_status_replicas_available"), "{{revision}}")],
        ),
    ]


def _releases(asked: Expressions) -> list[Panel]:
    probes = asked.released("tts_release_probes_total")
    weights = asked.released("tts_release_weight_percent")
    return [
        Panel(
            "Weights during a release",
            "Percent of the requests, as the release has written it into the route.",
            "percent",
            [(f"max by (revision) ({weights})", "{{revision}}")],
        ),
        Panel(
            "Answers to the release",
            "The release's own requests a second, by how they were answered.",
            "reqps",
            [
                (
                    f"sum by (revision, result) (rate({probes}[{_WINDOW}]))",
                    "{{revision}} {{result}}",
                )
            ],
        ),
        Panel(
            "Dropped requests of the guard",
            "Requests that were not answered whole while a release went on. Any is one too many.",
            "short",
            [(f"max({asked.released('tts_release_dropped_total')})", "dropped")],
        ),
        Panel(
            "Failed releases",
            "1 for a release's Job that has failed, until the next update takes its place.",
            "short",
            [(asked.failed_releases(), "{{job_name}}")],
        ),
    ]


def _room(watched: Watched) -> list[Panel]:
    asked = watched.expressions
    return [
        Panel(
            "Requests under way",
            "In flight, and of these those that wait to be let in; the slots that there are.",
            "short",
            [
                (f"sum({asked.served('tts_in_flight')})", "in flight"),
                (f"sum({asked.served('tts_queue_depth')})", "waiting"),
                (f"sum({asked.served('tts_slots')})", "slots"),
            ],
        ),
        Panel(
            "Busy slots",
            "Share of the slots in use; above 1 requests wait for one.",
            "percentunit",
            [(asked.busy(_WINDOW), "busy")],
            limit=1,
        ),
        Panel(
            "Load of the model",
            "Seconds that the pods of a version took at most; a catalog entry says how many they may.",
            "s",
            [(f"max by (version) ({asked.served('tts_model_load_seconds')})", "{{version}}")],
        ),
    ]


def _waits(watched: Watched) -> list[Panel]:
    asked, limits = watched.expressions, watched.monitoring.limits
    return [
        Panel(
            "Wait to be let in",
            "Seconds.",
            "s",
            _quantiles(asked, "tts_queue_seconds", (0.5, 0.95)),
            limit=limits.queue_seconds,
        ),
        Panel(
            "Turned away",
            "Share of the answers that say: come back later (429).",
            "percentunit",
            [(asked.share("429", _WINDOW), "{{version}}")],
            limit=limits.refused_percent / 100,
        ),
    ]


def _kept(watched: Watched) -> list[Panel]:
    if watched.settings.store is None or not watched.settings.store.outputs:
        return []
    writes = watched.expressions.served("tts_store_writes_total")
    return [
        Panel(
            "Answers kept",
            "By what became of them in the store.",
            "reqps",
            [(f"sum by (result) (rate({writes}[{_WINDOW}]))", "{{result}}")],
        )
    ]


def _machines(watched: Watched) -> list[Panel]:
    asked, limits = watched.expressions, watched.monitoring.limits
    panels = [
        Panel(
            "Processor",
            "Cores in use, by pod.",
            "short",
            [(f"rate({asked.served('process_cpu_seconds_total')}[{_WINDOW}])", "{{pod}}")],
        ),
        Panel("Memory", "By pod.", "bytes", [(asked.served("process_resident_memory_bytes"), "{{pod}}")]),
    ]
    if watched.settings.resources.gpus:
        panels += [
            Panel(
                "GPU memory",
                "Share that is used.",
                "percentunit",
                [(asked.gpu_memory(), "{{Hostname}} {{gpu}}")],
                limit=limits.gpu_memory_percent / 100,
            ),
            Panel(
                "GPU in use",
                "Percent of the time.",
                "percent",
                [(asked.gpu("DCGM_FI_DEV_GPU_UTIL"), "{{Hostname}} {{gpu}}")],
                limit=limits.gpu_percent,
            ),
        ]
    return panels


def _quantiles(asked: Expressions, metric: str, quantiles: Iterable[float]) -> list[tuple[str, str]]:
    return [(asked.quantile(each, metric, _WINDOW), f"{{{{version}}}} p{each * 100:g}") for each in quantiles]
