"""A candidate that passes the gate and fails under real requests is taken off the route at once.

Each fault shows only in requests that came through the gateway, so the gate cannot see it. The first step
gives 1 %, as a careful team would: of the users hardly one meets the fault, and all of the evidence comes
from the release's own requests.
"""

from __future__ import annotations

import re

import pytest

from tests.e2e.conftest import Platform
from tests.e2e.faults import Refusal, attempt, cases, revert, through_the_gateway
from tests.e2e.live import Api, weights

CAREFUL = {"steps": [1, 100], "holdSeconds": 8, "readySeconds": 60}


def crash(seconds: int, **rollout: object) -> Refusal:
    """A candidate whose server ends so many seconds after its first request through the route."""
    return Refusal(
        f"a crash after {seconds} s under traffic",
        through_the_gateway(
            'if not hasattr(app.state, "ends"):',
            "    import os, threading",
            f"    app.state.ends = threading.Timer({seconds}, os._exit, (7,))",
            "    app.state.ends.start()",
            rollout={**CAREFUL, **rollout},
        ),
        ("The container of pod hibari-1-1-0-", "ended under traffic", "exit code 7"),
    )


REFUSALS = [
    # That more than 1 % fail when 2 % do is shown by 6 of 260 answers of the candidate (which gets a third of
    # the probes). Until then neither verdict is due.
    Refusal(
        "every fiftieth request fails",
        through_the_gateway(
            'app.state.asked = getattr(app.state, "asked", 0) + 1',
            "if app.state.asked % 50 == 10:",
            '    raise RuntimeError("the fiftieth request is lost")',
            rollout={
                **CAREFUL,
                "holdSeconds": 1,
                "maxHoldSeconds": 90,
                "probesPerSecond": 40,
                "limits": {"errorPercent": 1},
            },
        ),
        ("At 1 %", "wrong", "at most 1 %", "The answer was 500"),
    ),
    Refusal(
        "40 MB more with each request",
        through_the_gateway(
            'app.state.kept = [*getattr(app.state, "kept", []), b"x" * 40_000_000]',
            rollout={**CAREFUL, "holdSeconds": 20, "probesPerSecond": 12},
        ),
        ("The container of pod hibari-1-1-0-", "ended under traffic", "more memory", "OOMKilled"),
    ),
    crash(3),
    crash(20, holdSeconds=30),
]


ALWAYS = ("every fiftieth request fails", "40 MB more with each request")


@pytest.mark.parametrize("refusal", cases(REFUSALS, always=ALWAYS))
def test_what_fails_under_traffic_is_taken_off_the_route(platform: Platform, refusal: Refusal) -> None:
    live = platform.speak().headers["x-tts-revision"]
    done, traffic = attempt(platform, refusal, harmed=1)
    assert traffic.revisions.count(live) > 0.9 * traffic.sent
    assert re.search(r"The route gives 99 % hibari-1-0-0-\w+, 1 % hibari-1-1-0-", done.text), done.text
    assert f"The stable route is live: 100 % {live}." in done.text
    assert weights(Api(platform.home).route()) == {live: 100}
    assert refusal.reverts in done.text, "the line that reverts is printed:\n" + done.text
    revert(platform, live)
