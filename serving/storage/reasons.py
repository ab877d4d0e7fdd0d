"""What an error of the client library means, told from its text.

That text holds whole answers of the server, which may quote a key's name or what was signed: of it only a
status, a code and the words of the operating system get into a sentence."""

import re

from serving.errors import StorageError, TakenError

_MACHINE = "169.254.169.254"  # asked for a role where the environment says nothing
_IDENTITY = re.compile(r"REDACTED|169\.254\.170\.|/v1/credentials")  # asked for what the environment promises
_AGAIN = ("408", "429")


def explain(error: Exception, url: str, where: str) -> StorageError:
    """`error` as one of ours: `url` was asked for at the server `where`."""
    said = str(error)
    status, code = _first(r"status code: (\d+)", said), _first(r"<Code>(\w+)</Code>", said)
    shown = " ".join(part for part in (status, code) if part)
    if status == "412" or "already exists" in said.partition("\n")[0]:
        return TakenError(f"The object {url} exists at {where} already, and nothing is replaced.")
    sentence = _final(said, status, code, url, where)
    if sentence:
        return StorageError(sentence)
    if status.startswith("4") and status not in _AGAIN:
        return StorageError(f"The object store {where} refused a request for {url} ({shown}).")
    reason = shown or _first(r'(?:message|error): "([^"]+)"', said) or _kind(said)
    return StorageError(f"The object store {where} did not answer for {url} ({reason}).", transient=True)


def _final(said: str, status: str, code: str, url: str, where: str) -> str:
    """The sentence for what asking again would not change, empty for anything else."""
    shown = " ".join(part for part in (status, code) if part)
    sentence = ""
    if _MACHINE in said:
        sentence = f"There are no credentials for {url}: neither a Secret nor AWS_* names any."
    elif _IDENTITY.search(said.partition("\n")[0]) and status.startswith("4"):
        sentence = (
            f"The pod's identity got no credentials for {url} ({shown}): check its role and who may take it."
        )
    elif code == "NoSuchBucket":
        sentence = f"The bucket of {url} does not exist at {where}."
    elif status == "404":
        sentence = f"The object {url} does not exist at {where}."
    elif code in ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"):
        sentence = f"The bucket of {url} is in another region ({shown}): correct region."
    elif status in ("401", "403"):
        sentence = (
            f"The object store {where} refused access to {url} ({shown}): check the keys (of the Secret, or "
            "in AWS_*) or the role, and what they may do."
        )
    elif status == "416":
        sentence = f"The object {url} is shorter than its catalog entry says."
    return sentence


def _kind(said: str) -> str:
    return "it timed out" if "Timeout" in said or "TimedOut" in said else "the connection was cut"


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""
