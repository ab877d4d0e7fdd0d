"""A container registry, asked by its HTTP API: what it has, and a tag for what was pushed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from typing import Any

import httpx2 as httpx

from local.images.credentials import login
from local.images.errors import ImageError

# A registry, `host:port`, that is spoken to without TLS. Those on this machine are anyway.
INSECURE = "TTS_INSECURE_REGISTRY"

_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


def is_plain(registry: str) -> bool:
    """Whether a registry is spoken to without TLS."""
    return bool(_LOOPBACK.fullmatch(registry)) or registry == os.environ.get(INSECURE)


class Registry:
    """One registry by its name, `host` or `host:port`, with the login that Docker has for it.

    Every method raises ImageError when the registry cannot be reached or refuses.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        plain = is_plain(name)
        host = "registry-1.docker.io" if name == "docker.io" else name
        self._client = httpx.Client(
            base_url=f"http{'' if plain else 's'}://{host}/v2/",
            trust_env=not plain,
            timeout=httpx.Timeout(30, connect=10),
        )
        self._authorizations: dict[str, str] = {}

    def digest(self, repository: str, wanted: str) -> str | None:
        """The digest of a manifest by tag or digest, None where the registry has none. Nothing is pulled."""
        path, accept = f"{repository}/manifests/{wanted}", {"Accept": ", ".join(_MANIFESTS)}
        answer = self._ask("HEAD", repository, path, headers=accept)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if told := answer.headers.get("docker-content-digest"):
            return str(told)
        content = self._ask("GET", repository, path, headers=accept).content
        return f"sha256:{hashlib.sha256(content).hexdigest()}"

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a layer or config can be used in a repository without a push."""
        answer = self._ask("HEAD", repository, f"{repository}/blobs/{digest}")
        return answer.status_code != httpx.codes.NOT_FOUND  # a redirect leads to the store that has it

    def mount(self, repository: str, digest: str, *, source: str) -> bool:
        """Let a repository use a blob of the repository `source`, without a push; False where it has none."""
        where = {"mount": digest, "from": source}
        answer = self._ask("POST", repository, f"{repository}/blobs/uploads/", params=where)
        if answer.status_code == httpx.codes.ACCEPTED:  # it waits for an upload instead
            self._ask("DELETE", repository, str(answer.url.join(answer.headers["location"])))
        return answer.status_code == httpx.codes.CREATED

    def upload(self, repository: str, content: bytes, digest: str) -> None:
        """Push one small blob."""
        begun = self._ask("POST", repository, f"{repository}/blobs/uploads/")
        where = begun.url.join(begun.headers["location"]).copy_merge_params({"digest": digest})
        self._ask("PUT", repository, str(where), content=content)

    def tag(self, repository: str, tag: str, manifest: bytes) -> None:
        """Give a manifest whose blobs are in the repository a tag. Until then nothing is seen of a push."""
        path, kind = f"{repository}/manifests/{tag}", {"Content-Type": json.loads(manifest)["mediaType"]}
        answer = self._ask("PUT", repository, path, content=manifest, headers=kind)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise ImageError(f"The registry {self._name} has not all layers of {tag}: {_reason(answer)}.")

    def _ask(self, method: str, repository: str, path: str, **words: Any) -> httpx.Response:
        """Send a request, with the login that the registry asks for; 404 is an answer like any other."""
        purpose = f"{'read' if method in ('HEAD', 'GET') else 'write'} {repository}"
        answer = self._send(method, path, self._authorizations.get(purpose), words)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            authorization = self._authorize(answer.headers.get("www-authenticate", ""))
            if authorization:
                self._authorizations[purpose] = authorization
                answer = self._send(method, path, authorization, words)
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise ImageError(
                f"The registry {self._name} refuses {repository} (status {answer.status_code}); "
                f"log in with `docker login {self._name}` as somebody who may use it."
            )
        if answer.is_error and answer.status_code != httpx.codes.NOT_FOUND:
            raise ImageError(
                f"The registry {self._name} does not do what it is asked for {repository}: {_reason(answer)}."
            )
        return answer

    def _send(
        self, method: str, path: str, authorization: str | None, words: dict[str, Any]
    ) -> httpx.Response:
        headers = words.get("headers", {}) | ({"Authorization": authorization} if authorization else {})
        try:
            return self._client.request(method, path, **words | {"headers": headers})
        except httpx.HTTPError as error:
            raise ImageError(
                f"The registry {self._name} cannot be reached ({error}): "
                "is tts:registry right, and does it run?"
            ) from error

    def _authorize(self, challenge: str) -> str | None:
        """Answer a challenge: with the login itself, or with a token for it; None where that cannot be."""
        scheme, _, rest = challenge.partition(" ")
        user = login(self._name)
        if scheme.lower() == "basic" and user:
            return f"Basic {base64.b64encode(':'.join(user).encode()).decode()}"
        parameters = dict(_PARAMETER.findall(rest))
        realm = parameters.pop("realm", None)
        if scheme.lower() != "bearer" or realm is None:
            return None
        try:
            answer = self._client.get(realm, params=parameters, auth=user).raise_for_status().json()
            return f"Bearer {answer.get('token') or answer['access_token']}"
        except (httpx.HTTPError, ValueError, KeyError):
            return None


def _reason(answer: httpx.Response) -> str:
    """The registry's own words, or its status."""
    try:
        return "; ".join(str(error["message"]) for error in answer.json()["errors"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"
