"""What a model's image is built from: a Dockerfile on the server base, and the hash that names the image."""

import json
from pathlib import Path

from components.catalog import ModelVersion
from components.identity import content_hash
from components.storage_settings import ObjectStore


def model_dockerfile(
    entry: ModelVersion, base_hash: str, root: Path, object_store: ObjectStore | None = None
) -> str:
    """The Dockerfile of a model image. Fetched files reach the final stage one by one, each as its own layer;
    what fetching needs, the engine's `build-requirements.txt` where `root` has one, stays behind.
    `object_store` says where s3:// sources are asked for; with which keys is the builder's own affair.

    Labels say what the image is made of and nothing else: a commit in them would be another image."""
    lines = ["ARG BASE=scratch", "ARG SOURCE_DATE_EPOCH", "FROM ${BASE} AS artifacts", "USER 0"]
    if object_store is not None and any("s3://" in artifact.source for artifact in entry.artifacts):
        bucket = object_store.bucket
        values = {"AWS_ENDPOINT_URL": bucket.endpoint, "AWS_REGION": bucket.region}
        lines += [f"ENV {name}={json.dumps(value)}" for name, value in values.items() if value]
    build_requirements = f"serving/engines/{entry.engine}/build-requirements.txt"
    if (root / build_requirements).is_file():
        install = ["pip", "install", "--no-cache-dir", "--require-hashes", "-r", f"/app/{build_requirements}"]
        lines.append(f"RUN {json.dumps(install)}")
    for artifact in entry.artifacts:
        if artifact.source.startswith("file:"):
            local = artifact.source.removeprefix("file:")
            lines.append(f"COPY {local} /artifacts/{local}")
    lines.append(f"COPY {entry.version}.yaml /artifacts/entry.yaml")
    fetch = ["python", "-m", "serving.artifacts", "fetch", "/artifacts/entry.yaml", "/model"]
    lines += [f"RUN {json.dumps(fetch)}", "FROM ${BASE}"]
    labels = {
        "org.opencontainers.image.title": entry.model,
        "org.opencontainers.image.version": entry.version,
        "org.opencontainers.image.licenses": entry.license,
        "tts.server-base": base_hash,
    }
    lines += [f"LABEL {key}={json.dumps(value)}" for key, value in labels.items()]
    lines += [f"COPY --from=artifacts /model/{a.path} /model/{a.path}" for a in entry.artifacts]
    return "\n".join(lines) + "\n"


def model_image_hash(entry: ModelVersion, dockerfile: str) -> str:
    """Six hexadecimal digits over all that goes into a model image: the Dockerfile, which names the server
    base, and the files by their sha256. Another limit of the entry is no other image."""
    files = [[artifact.path, artifact.source, artifact.sha256] for artifact in entry.artifacts]
    return content_hash({"dockerfile": dockerfile, "files": files})
