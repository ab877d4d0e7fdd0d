"""Pods as processes: what a kubelet does in a cluster."""
