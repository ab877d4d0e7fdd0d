"""What other exporters tell, as their own documentation has it: name -> labels, without those that a scrape
adds. Of each only what is asked here.

Gateways: Istio's standard metrics; Envoy's, with Istio's names of clusters, as seen on a running gateway.
kube-state-metrics 2.19: docs/metrics/workload. DCGM exporter 4.8: etc/default-counters.csv."""

OF_SCRAPES = {"namespace", "pod", "container", "endpoint", "job", "instance", "service", "le"}
_ISTIO = {"reporter", "destination_service_name", "destination_service_namespace", "response_code"}
_GPU = {"gpu", "UUID", "Hostname", "namespace", "pod", "exported_namespace", "exported_pod"}

KNOWN: dict[str, set[str]] = {
    "istio_requests_total": _ISTIO,
    "istio_request_duration_milliseconds_bucket": _ISTIO,
    "envoy_cluster_upstream_rq": {"cluster_name", "response_code"},
    "envoy_cluster_upstream_rq_time_bucket": {"cluster_name", "response_code"},
    "kube_deployment_status_replicas_available": {"namespace", "deployment"},
    "kube_job_failed": {"namespace", "job_name", "condition"},
    "DCGM_FI_DEV_FB_USED": _GPU,
    "DCGM_FI_DEV_FB_FREE": _GPU,
    "DCGM_FI_DEV_GPU_UTIL": _GPU,
}
