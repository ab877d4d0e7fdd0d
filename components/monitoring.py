"""What watches a stack: monitors, alerts, where they are sent, and a dashboard. It is declared for the
Prometheus operator and Grafana's sidecar; where these are not, nobody takes it up."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import ConfigMap

from components.alerts import release_alerts, service_alerts
from components.dashboard import dashboard
from components.labels import Manifest, member_labels, object_metadata, stack_labels
from components.monitoring_settings import SECRET_KEY
from components.watched import Alert, Watched, rule_groups

OPERATOR = "monitoring.coreos.com/v1"
ALERTMANAGER_CONFIG = "monitoring.coreos.com/v1alpha1"
_INTERVAL = "15s"
_CHANNEL = "channel"
_TEXT = (
    "{{ range .Alerts }}*{{ .Labels.severity }}* {{ .Annotations.description }} "
    "<{{ .Annotations.runbook_url }}|What to do>\n{{ end }}"
)


@dataclass(frozen=True)
class MonitoringArgs:
    """`after` are the resources (a namespace) that must exist first."""

    watched: Watched
    after: Sequence[pulumi.Resource] = ()


class Monitoring(pulumi.ComponentResource):
    """In two parts: what must be there while a release goes on at once, the rest by `watch_service`.

    Rules about servers name the revisions that have weight. So they change once a release has passed, and one
    that fails leaves in force what is true of the revisions that serve on."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:monitoring:Monitoring", name, None, opts)
        self._args = args
        watched, name = args.watched, args.watched.settings.name
        self._custom("ServiceMonitor", name, _service_monitor(watched))
        self._custom("PodMonitor", f"{name}-release", _pod_monitor(watched))
        self._rules(f"{name}-release", release_alerts(watched))
        self._dashboard()
        if watched.monitoring.webhook_secret:
            self._custom("AlertmanagerConfig", name, _routing(watched), version=ALERTMANAGER_CONFIG)

    def watch_service(self, *, after: Sequence[pulumi.Resource]) -> None:
        """Declares the rules about what serves; `after`: the release."""
        watched = self._args.watched
        self._rules(watched.settings.name, service_alerts(watched), after=after)
        self.register_outputs({})

    def _rules(self, name: str, alerts: list[Alert], *, after: Sequence[pulumi.Resource] = ()) -> None:
        spec = {"groups": rule_groups(self._args.watched, name, alerts)}
        self._custom("PrometheusRule", name, spec, after=after)

    def _custom(
        self,
        kind: str,
        name: str,
        spec: Manifest,
        *,
        version: str = OPERATOR,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        watched = self._args.watched
        labels = {**stack_labels(watched.settings, "monitoring"), **watched.monitoring.labels}
        CustomResource(
            f"{name}-{kind.lower()}",
            api_version=version,
            kind=kind,
            metadata=object_metadata(watched.settings, name, labels),
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self._args.after, *after]),
        )

    def _dashboard(self) -> None:
        watched = self._args.watched
        name = f"{watched.settings.name}-dashboard"
        labels = {**stack_labels(watched.settings, "monitoring"), **watched.monitoring.dashboard_labels}
        # Grafana's sidecar puts the files of all namespaces into one folder.
        file = f"tts-{watched.settings.namespace}-{watched.settings.name}.json"
        ConfigMap(
            name,
            metadata=object_metadata(watched.settings, name, labels),
            data={file: json.dumps(dashboard(watched), indent=1)},
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(self._args.after)),
        )


def _service_monitor(watched: Watched) -> Manifest:
    """The servers of all revisions, by their Services."""
    return {
        "selector": {"matchLabels": _of(watched, "model-server")},
        "endpoints": [{"port": "http", "path": "/metrics", "interval": _INTERVAL}],
    }


def _pod_monitor(watched: Watched) -> Manifest:
    """The release and its guard, which have no Service."""
    return {
        "selector": {"matchLabels": _of(watched, "release")},
        "podMetricsEndpoints": [{"port": "metrics", "interval": _INTERVAL}],
    }


def _of(watched: Watched, component: str) -> dict[str, str]:
    return {**member_labels(watched.settings), "app.kubernetes.io/component": component}


def _routing(watched: Watched) -> Manifest:
    """The stack's alerts to one channel, as Slack takes them, and word when one is over."""
    secret = {"name": watched.monitoring.webhook_secret, "key": SECRET_KEY}
    return {
        "route": {
            "receiver": _CHANNEL,
            "matchers": [{"name": "stack", "value": watched.settings.name, "matchType": "="}],
            "groupBy": ["alertname"],
            "groupWait": "30s",
            "groupInterval": "5m",
            "repeatInterval": "12h",
        },
        "receivers": [
            {
                "name": _CHANNEL,
                "slackConfigs": [
                    {
                        "apiURL": secret,
                        "sendResolved": True,
                        "title": "{{ .Status }}: {{ .CommonAnnotations.summary }}",
                        "text": _TEXT,
                    }
                ],
            }
        ],
    }
