"""Deployments and Jobs become pods; what belongs to nobody any more is deleted."""
