"""What an address says about where it leads: to a Service of the cluster, or to anywhere by its port."""

from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def service_namespace(url: str, *, own: str) -> str | None:
    """The namespace of the Service that `url` names, as seen from the namespace `own`; None where it names
    none or, without `.svc` after the namespace, could name a host outside."""
    name, *rest = (urlsplit(url).hostname or "").split(".")
    if not rest:
        return own if name else None
    return rest[0] if rest[1:2] == ["svc"] else None


def port_of(url: str) -> int:
    """The port that `url` leads to."""
    parts = urlsplit(url)
    return parts.port or _PORTS[parts.scheme]
