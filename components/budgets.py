"""How long each wait may take, in seconds; every budget is the sum of what it waits for."""

from components.catalog import ModelVersion
from components.machine_settings import pull_seconds
from components.settings import Settings

AWAIT_MARGIN = 60
ENDING_SECONDS = 15
"""A server told to end accepts requests for up to 10 s, as long as they come, and takes a moment to leave."""
STORING_SECONDS = 5
"""Then it waits at most so long for its store to take the last answers."""

_STEP_MARGIN = 120
_RELEASE_MARGIN = 300
_GATE_SECONDS_PER_TEXT = 60


def progress_deadline(settings: Settings, entry: ModelVersion) -> int:
    """Until Kubernetes calls the Deployment stuck: a node, the pull, the start."""
    fetches = settings.fetched_from is not None
    pull = pull_seconds(settings.timeouts, size=0 if fetches else entry.size)
    return settings.timeouts.node_seconds + pull + startup_seconds(settings, entry)


def startup_seconds(settings: Settings, entry: ModelVersion) -> int:
    """Until a container that is not ready is started again: the fetch of its model files, the load."""
    return fetch_seconds(settings, entry) + entry.load_budget_seconds


def fetch_seconds(settings: Settings, entry: ModelVersion) -> int:
    """Until a server gives up the fetch of its model files; 0 where its image holds them."""
    return 0 if settings.fetched_from is None else pull_seconds(settings.timeouts, size=entry.size)


def deployment_await(settings: Settings, entry: ModelVersion) -> int:
    """Until the update gives up on the Deployment: after Kubernetes has said why it is stuck."""
    return progress_deadline(settings, entry) + AWAIT_MARGIN


def termination_grace(settings: Settings) -> int:
    """Until Kubernetes kills a server's pod: the drain, the last answer it began, its end."""
    storing = STORING_SECONDS if settings.store is not None and settings.store.outputs else 0
    return settings.drain_seconds + settings.longest_answer_seconds + ENDING_SECONDS + storing


def deletion_await(settings: Settings) -> int:
    """Until the update gives up on the end of a Deployment."""
    return termination_grace(settings) + AWAIT_MARGIN


def release_await(settings: Settings) -> int:
    """Until the update gives up on the Job: its pull, the start of the candidates, their gates, every step
    held as long as it may be, the way back; and, before each step, the pods that the traffic asks for."""
    rollout = settings.rollout
    gates = sum(
        _GATE_SECONDS_PER_TEXT * len(each.entry.gate.texts) * settings.most_replicas(each)
        for each in settings.served
    )
    starts = max(progress_deadline(settings, each.entry) for each in settings.served)
    grown = starts * rollout.walked if settings.autoscaling else 0
    steps = rollout.walked * (rollout.max_hold_seconds + _STEP_MARGIN) + grown
    ready = max(starts, rollout.ready_seconds)
    return settings.timeouts.node_seconds + ready + gates + steps + _RELEASE_MARGIN
