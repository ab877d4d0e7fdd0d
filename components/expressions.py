"""What is asked about a stack that serves, in PromQL: one place for alerts and dashboard. Pure.

In each, `window` is what a rate is taken over: `2m`, or Grafana's `$__rate_interval`. Names of pods, Services
and Deployments begin with the revision's, which they are selected by: so it does not matter who scrapes."""

from dataclasses import dataclass

from components.queries import Gateway

USERS = 'origin="user"'
_BY_VERSION = "sum by (version) "


@dataclass(frozen=True)
class Expressions:
    """About all revisions of the stack `name` in `namespace`, whose requests come by `gateway`."""

    name: str
    namespace: str
    gateway: Gateway

    @property
    def revisions(self) -> str:
        """The names of the stack's revisions as a regular expression: its name and a version follow."""
        return f"{self.name}-[0-9][^.]*"

    @property
    def pods(self) -> str:
        """The labels that select the servers."""
        return f'namespace="{self.namespace}",pod=~"{self.revisions}"'

    def served(self, metric: str, *labels: str) -> str:
        """A metric of the servers."""
        return f"{metric}{{{','.join([self.pods, *labels])}}}"

    def requests(self, window: str, *labels: str) -> str:
        """Answers to callers a second, by version."""
        return f"{_BY_VERSION}(rate({self.served('tts_requests_total', USERS, *labels)}[{window}]))"

    def share(self, code: str, window: str) -> str:
        """The share of the answers to callers whose code matches, by version; 0 also where none does."""
        matching, everything = self.requests(window, f'code=~"{code}"'), self.requests(window)
        return f"({matching} or {everything} * 0) / {everything}"

    def quantile(self, quantile: float, metric: str, window: str) -> str:
        """The quantile of a histogram of the servers, by version."""
        series = self.served(f"{metric}_bucket", USERS)
        return f"histogram_quantile({quantile}, sum by (version, le) (rate({series}[{window}])))"

    def busy(self, window: str) -> str:
        """How busy the slots are, 1 being all of them; above it requests wait."""
        seconds = self.served("tts_busy_slot_seconds_total")
        return f"sum(rate({seconds}[{window}])) / sum({self.served('tts_slots')})"

    def routed(self, window: str, *labels: str) -> str:
        """Requests a second that the gateway sends on, by revision."""
        gateway = self.gateway
        family = gateway.family.format(revisions=self.revisions, namespace=self.namespace)
        selected = ",".join([family, *(labels or ('response_code!=""',))])
        named = (
            f"label_replace(rate({gateway.requests}{{{selected}}}[{window}]), "
            f'"revision", "$1", "{gateway.label}", "{gateway.revision}")'
        )
        return f"sum by (revision) ({named})"

    def routed_errors(self, window: str) -> str:
        """The share of errors in what the gateway answers for a revision; 0 also where there is none."""
        errors, everything = self.routed(window, 'response_code=~"5.."'), self.routed(window)
        return f"({errors} or {everything} * 0) / {everything}"

    def deployed(self, metric: str) -> str:
        """A metric of kube-state-metrics about the Deployments of the servers, by revision."""
        series = f'{metric}{{namespace="{self.namespace}",deployment=~"{self.revisions}"}}'
        return f'sum by (revision) (label_replace({series}, "revision", "$1", "deployment", "(.*)"))'

    def failed_releases(self) -> str:
        """The Jobs of releases that have failed, not their guards."""
        job = f"{self.name}-release-[0-9a-f]{{6}}"
        labels = f'namespace="{self.namespace}",job_name=~"{job}",condition="true"'
        return f"max by (job_name) (kube_job_failed{{{labels}}})"

    def released(self, metric: str) -> str:
        """A metric of the release and its guard, while they run."""
        return f'{metric}{{namespace="{self.namespace}",pod=~"{self.name}-release-.*"}}'

    def gpu(self, metric: str) -> str:
        """A metric of NVIDIA's DCGM exporter about the servers' GPUs. A Prometheus that does not honour the
        exporter's labels has put `exported_` before them."""
        exported = f'exported_namespace="{self.namespace}",exported_pod=~"{self.revisions}"'
        return f"({metric}{{{self.pods}}} or {metric}{{{exported}}})"

    def gpu_memory(self) -> str:
        """The share of a GPU's memory that is used."""
        used, free = self.gpu("DCGM_FI_DEV_FB_USED"), self.gpu("DCGM_FI_DEV_FB_FREE")
        return f"{used} / ({used} + {free})"
