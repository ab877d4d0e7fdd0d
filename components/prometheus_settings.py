"""Where the release reads what real requests got: the settings `prometheusUrl` and `prometheus`."""

from collections.abc import Mapping
from dataclasses import dataclass

from components import checks
from components.queries import DEFAULT_QUERIES, ISTIO, NAMES, query_mistake
from components.reader import Reader


@dataclass(frozen=True)
class Prometheus:
    """`url` without a / at its end; `metrics` names one of queries.GATEWAYS; samples older than
    `max_age_seconds` are none; `queries` by name."""

    url: str
    metrics: str
    max_age_seconds: int
    queries: Mapping[str, str]


def read_prometheus(reader: Reader) -> Prometheus | None:
    """The Prometheus of the stack; None where it names none."""
    url = reader.text("prometheusUrl", default="")
    if "@" in url:
        # Whatever stands before the @ is not said again.
        reader.refuse(
            "prometheusUrl", "holds a name or a password: let the cluster's network reach it without."
        )
    elif url and (wrong := checks.prometheus_url(url)):
        reader.refuse("prometheusUrl", f'is "{url}", {wrong}')
    section = reader.section("prometheus", optional=True)
    if section.given and not url:
        reader.refuse("prometheus", "is set, but tts:prometheusUrl is not: name the address or drop it.")
    metrics = section.choice("metrics", options=tuple(DEFAULT_QUERIES), default=ISTIO)
    age = section.whole("maxAgeSeconds", low=1, high=3600, default=60)
    own = _read_queries(section)
    section.finish()
    if not url:
        return None
    return Prometheus(url.rstrip("/"), metrics, age, {**DEFAULT_QUERIES.get(metrics, {}), **own})


def _read_queries(section: Reader) -> dict[str, str]:
    """The stack's own queries; those it does not name keep their defaults."""
    queries = section.section("queries", optional=True)
    own = {name: query for name in NAMES if (query := queries.text(name, default=""))}
    for name, query in own.items():
        wrong = query_mistake(name, query)
        if wrong:
            queries.refuse(name, wrong)
    queries.finish()
    return own
