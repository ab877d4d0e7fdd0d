"""Where a speech request comes from: asked by the metrics, by the log, and by whatever stores audio."""

from enum import Enum

from starlette.datastructures import Headers
from starlette.types import Scope

from serving.callers import asks_the_pod, caller_of
from serving.keys import PROBE as PROBE_KEY
from serving.request_id import is_sane

_PROBE_HEADER = "x-tts-probe"
_KEEP_HEADER = "x-tts-keep"
_GATE = "gate"
# The route of a stack whose canary is fed copies says in each request, and so in its copy, who answers it.
_ANSWERED_BY = "x-tts-answered-by"
_SHADOW = "-shadow"  # what Envoy appends to the host of a mirrored request, and Istio did until 1.24


class Origin(Enum):
    """Whose request it is; the value is what the label `origin` says."""

    USER = "user"
    PROBE = "probe"
    MIRROR = "mirror"

    @property
    def recorded(self) -> bool:
        """Whether the request may be recorded and its answer kept as an output: only what a user sent to be
        answered."""
        return self is Origin.USER


def origin_of(scope: Scope, revision: str) -> Origin:
    """A request's origin by its headers, at a server of `revision`: a probe of a release, a mirrored copy, or
    a user's own. Where keys are wanted, a probe has the key of a release."""
    headers = Headers(scope=scope)
    if _PROBE_HEADER in headers and caller_of(scope) in ("", PROBE_KEY):
        return Origin.PROBE
    return Origin.MIRROR if _is_copy(headers, revision) else Origin.USER


def gate_of(scope: Scope, revision: str) -> str | None:
    """The release whose gate asks that the answer to it be kept; None for anybody else. A gate asks the pods
    themselves: what came through a gateway, or is a copy, is none's."""
    headers = Headers(scope=scope)
    release = headers.get(_PROBE_HEADER, "")
    if headers.get(_KEEP_HEADER) != _GATE or not is_sane(release):
        return None
    probe = origin_of(scope, revision) is Origin.PROBE
    return release if probe and asks_the_pod(scope) and not _is_copy(headers, revision) else None


def _is_copy(headers: Headers, revision: str) -> bool:
    """Whether another revision answers the request, and this is what a route mirrors of it."""
    answering = headers.get(_ANSWERED_BY)
    if answering is not None and revision not in answering.replace(" ", "").split(","):
        return True
    host = headers.get("host", "").lower()
    name, _, port = host.rpartition(":")
    return (name if port.isdecimal() else host).endswith(_SHADOW)
