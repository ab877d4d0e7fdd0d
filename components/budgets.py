"""How long each wait may take, in seconds; every budget is the sum of what it waits for."""

from components.settings import Settings

AWAIT_MARGIN = 60
_STEP_MARGIN = 120
_RELEASE_MARGIN = 300
_GATE_SECONDS_PER_TEXT = 60


def progress_deadline(settings: Settings) -> int:
    """Until Kubernetes calls the Deployment stuck: a node, the pull, the load."""
    timeouts = settings.timeouts
    return timeouts.node_seconds + timeouts.pull_seconds + settings.entry.load_budget_seconds


def deployment_await(settings: Settings) -> int:
    """Until the update gives up on the Deployment: after Kubernetes has said why it is stuck."""
    return progress_deadline(settings) + AWAIT_MARGIN


def release_await(settings: Settings) -> int:
    """Until the update gives up on the Job: its pull, the candidate, the gate, every step, the way back."""
    rollout = settings.rollout
    gate = _GATE_SECONDS_PER_TEXT * len(settings.entry.gate.texts) * settings.replicas
    steps = len(rollout.steps) * (rollout.hold_seconds + _STEP_MARGIN)
    return settings.timeouts.node_seconds + rollout.ready_seconds + gate + steps + _RELEASE_MARGIN
