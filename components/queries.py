"""How real traffic is asked for: the queries in PromQL, as data, and what a stack may say in their place.

In each query the release fills in `{revision}`, `{namespace}` and `{window}` (such as 30s); PromQL's own
braces stay.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

NAMES = ("requests", "errors", "p99Seconds", "firstAudioSeconds", "ageSeconds")
PLACEHOLDERS = ("revision", "namespace", "window")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")

ISTIO, ENVOY = "istio", "envoy"


@dataclass(frozen=True)
class Gateway:
    """What a gateway reports of the requests that it sends on. `labels` select one revision's, in which
    `{revision}` and `{namespace}` are to be filled in; `family` those of all revisions whose names match
    `{revisions}`, a regular expression, which stand in the label `label`, `revision` being what of it is
    the name."""

    requests: str
    milliseconds: str
    labels: str
    family: str
    label: str
    revision: str


GATEWAYS: Mapping[str, Gateway] = MappingProxyType(
    {
        # A gateway reports what it sends on; servers without a sidecar report nothing: the source's view.
        ISTIO: Gateway(
            requests="istio_requests_total",
            milliseconds="istio_request_duration_milliseconds_bucket",
            labels='reporter="source",destination_service_name="{revision}",'
            'destination_service_namespace="{namespace}"',
            family='reporter="source",destination_service_name=~"{revisions}",'
            'destination_service_namespace="{namespace}"',
            label="destination_service_name",
            revision="(.*)",
        ),
        # Plain Envoy names the cluster as Istio does: direction, port, subset (none), host.
        ENVOY: Gateway(
            requests="envoy_cluster_upstream_rq",
            milliseconds="envoy_cluster_upstream_rq_time_bucket",
            labels='cluster_name="outbound|80||{revision}.{namespace}.svc.cluster.local"',
            family='cluster_name=~"outbound.80..({revisions}).{namespace}.svc.cluster.local"',
            label="cluster_name",
            revision="outbound.80..([^.]*).*",
        ),
    }
)
# The release measures its own probes itself; callers and copies of their requests are what it asks about.
_PODS = 'namespace="{namespace}",pod=~"{revision}-.*",origin!="probe"'


def _counted(metric: str, labels: str) -> str:
    return f"sum(increase({metric}{{{labels}}}[{{window}}]))"


def _quantile(quantile: str, metric: str, labels: str) -> str:
    return f"histogram_quantile({quantile}, sum by (le) (rate({metric}{{{labels}}}[{{window}}])))"


def _at_the_gateway(gateway: Gateway) -> Mapping[str, str]:
    requests, labels = gateway.requests, gateway.labels
    return MappingProxyType(
        {
            "requests": _counted(requests, f'{labels},response_code!=""'),
            # Without an error there is no such series, and nothing is not yet none.
            "errors": "(" + _counted(requests, f'{labels},response_code=~"5.."') + " or vector(0))",
            "p99Seconds": _quantile("0.99", gateway.milliseconds, labels) + " / 1000",
            # The gateway cannot tell audio from headers; the server can. The limit may be missed by 5 %.
            "firstAudioSeconds": _quantile("0.95", "tts_first_audio_seconds_bucket", _PODS),
            "ageSeconds": f'time() - max(timestamp({requests}{{{labels},response_code!=""}}))',
        }
    )


DEFAULT_QUERIES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {name: _at_the_gateway(gateway) for name, gateway in GATEWAYS.items()}
)


def query_mistake(name: str, query: str) -> str | None:
    """Why `query` cannot be asked, or None: the sentence goes on after "<key> "."""
    unknown = [word for word in _PLACEHOLDER.findall(query) if word not in PLACEHOLDERS]
    if unknown:
        known = ", ".join(f"{{{word}}}" for word in PLACEHOLDERS)
        return f"says {{{unknown[0]}}}, which nothing fills in: known: {known}."
    if name != "ageSeconds" and "{revision}" not in query:
        return "does not say {revision}, so all revisions would look alike: select by it."
    return None
