"""The ingress gateway: Istio's objects as the configuration of a real Envoy."""
