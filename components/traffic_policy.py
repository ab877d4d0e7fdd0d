"""How the gateway keeps its connections to the servers of a revision. A pure function."""

from typing import Any

# Syntheses differ in length by far more than requests do: count those under way.
_BALANCE = {"simple": "LEAST_REQUEST"}
_CONNECTIONS = {
    "tcp": {
        # Three tries of two seconds (the route's retries) find a server that is there.
        "connectTimeout": "2s",
        # A node that is gone says nothing; the stream through it ends within 90 s instead of never.
        "tcpKeepalive": {"time": "60s", "interval": "10s", "probes": 3},
    },
    # Of connections without a request. The server closes those after 75 s: where both wait as long, or the
    # gateway longer, a request meets a connection that is being closed.
    "http": {"idleTimeout": "60s"},
}
# A server that fails at once has the fewest requests under way and would draw all of them.
_EJECTION = {
    "consecutive5xxErrors": 5,
    "interval": "10s",
    "baseEjectionTime": "30s",
    # Rounded down, so that of two one stays, and never more than half of many go.
    "maxEjectionPercent": 50,
}


def traffic_policy(*, replicas: int) -> dict[str, Any]:
    """The trafficPolicy of a revision's DestinationRule. One server alone is never ejected: an answer that
    may fail is better than none."""
    policy: dict[str, Any] = {"loadBalancer": _BALANCE, "connectionPool": _CONNECTIONS}
    return policy | {"outlierDetection": _EJECTION} if replicas > 1 else policy
