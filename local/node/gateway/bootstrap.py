"""What Envoy starts with: its one listener, and where the changing rest of its configuration lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from local.node.gateway.config import NOWHERE

ROUTES = "gateway"
ADMIN = "admin.sock"
HTTP_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)


def bootstrap(port: int, folder: Path) -> dict[str, Any]:
    """Envoy's static configuration; `folder` holds its files, and it is started there."""
    manager = {
        "@type": HTTP_MANAGER,
        "stat_prefix": "gateway",
        "codec_type": "HTTP1",
        "strip_any_host_port": True,
        "stream_idle_timeout": "0s",
        "use_remote_address": True,
        "rds": {
            "route_config_name": ROUTES,
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": {"path": f"{folder}/rds.json"},
            },
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            }
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "node": {"id": "gateway", "cluster": "tts"},
        "admin": {"address": {"pipe": {"path": ADMIN, "mode": 0o600}}},
        "dynamic_resources": {
            "cds_config": {"resource_api_version": "V3", "path_config_source": {"path": f"{folder}/cds.json"}}
        },
        "static_resources": {
            "listeners": [
                {
                    "name": "gateway",
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                    "filter_chains": [{"filters": filters}],
                }
            ],
            "clusters": [{"name": NOWHERE, "type": "STATIC", "connect_timeout": "1s"}],
        },
    }
