"""Where a speech request comes from: asked by the metrics, by the log, and by whatever stores audio."""

from enum import Enum

from starlette.datastructures import Headers
from starlette.types import Scope

from serving.callers import caller_of
from serving.keys import PROBE as PROBE_KEY

_PROBE_HEADER = "x-tts-probe"
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
        """Whether anything of the request may be stored: only what a user sent to be answered."""
        return self is Origin.USER


def origin_of(scope: Scope, revision: str) -> Origin:
    """A request's origin by its headers, at a server of `revision`: a probe of a release, a mirrored copy, or
    a user's own. Where keys are wanted, a probe has the key of a release."""
    headers = Headers(scope=scope)
    if _PROBE_HEADER in headers and caller_of(scope) in ("", PROBE_KEY):
        return Origin.PROBE
    answering = headers.get(_ANSWERED_BY)
    if answering is not None and revision not in answering.replace(" ", "").split(","):
        return Origin.MIRROR
    host = headers.get("host", "").lower()
    name, _, port = host.rpartition(":")
    if (name if port.isdecimal() else host).endswith(_SHADOW):
        return Origin.MIRROR
    return Origin.USER
