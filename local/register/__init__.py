"""`make register`: a training output becomes a version of the catalog, with all that its review needs."""

from local.register.registration import Request, register

__all__ = ["Request", "register"]
