"""The errors of the embedded platform: every one is a sentence that a person can act on."""


class LocalError(Exception):
    """Base of all errors that `python -m local` reports as one sentence, with exit status 1."""
