"""Which versions a stack keeps running, in which role: the stable one, a canary, warm ones."""

from dataclasses import dataclass

from components import checks
from components.catalog import Catalog, ModelVersion, version_mistake
from components.errors import CatalogError
from components.reader import Reader

STABLE, CANARY, WARM = "stable", "canary", "warm"


@dataclass(frozen=True)
class Served:
    """One version that the stack keeps running. `weight` in percent; `mirrored`: it is fed copies of all
    speech requests; `image_digest` is empty where this stack builds the image itself.

    Nothing that follows from `role`, `replicas`, `weight` or `mirrored` is part of a revision: a promotion
    changes them and must leave the revision as it is."""

    entry: ModelVersion
    role: str
    replicas: int
    weight: int
    mirrored: bool
    image_digest: str


@dataclass(frozen=True)
class _Named:
    """A version that the setting `key` names, before the catalog has been asked."""

    key: str
    version: str
    digest_key: str
    digest: str
    role: str
    replicas: int
    weight: int = 0
    mirrored: bool = False


def read_versions(reader: Reader, catalog: Catalog) -> tuple[Served, ...]:
    """The versions of the stack that can be read, the stable one first."""
    model = reader.text("model", check=lambda value: checks.known_model(value, catalog))
    version = reader.text("modelVersion", check=version_mistake)
    digest = reader.text("imageDigest", default="", check=checks.digest)
    replicas = reader.whole("replicas", low=1, high=100, default=1)
    canary = _read_canary(reader, replicas=replicas)
    rest = 100 - sum(each.weight for each in canary)
    stable = _Named("modelVersion", version, "imageDigest", digest, STABLE, replicas, rest)
    named = [stable, *canary, *_read_warm(reader, replicas=replicas)]
    _refuse_repeats(reader, named)
    _refuse_mixed_images(reader, named)
    entries = [_load(reader, catalog, model, each) if model in catalog.models() else None for each in named]
    return tuple(
        Served(entry, each.role, each.replicas, each.weight, each.mirrored, each.digest)
        for each, entry in zip(named, entries, strict=True)
        if entry is not None
    )


def _read_canary(reader: Reader, *, replicas: int) -> list[_Named]:
    section = reader.section("canary", optional=True)
    if not section.given:
        return []
    canary = _Named(
        "canary.version",
        section.text("version", check=version_mistake),
        "canary.imageDigest",
        section.text("imageDigest", default="", check=checks.digest),
        role=CANARY,
        replicas=section.whole("replicas", low=1, high=100, default=replicas),
        weight=section.whole("weight", low=0, high=99, default=0),
        mirrored=section.flag("mirror", default=False),
    )
    if canary.weight and canary.mirrored:
        section.refuse(
            "mirror",
            f"is true with a weight of {canary.weight}: choose copies that nobody hears (weight 0) "
            "or a share of the requests (mirror: false).",
        )
    if not canary.weight and not canary.mirrored:
        section.refuse(
            "weight",
            "is 0 without mirror, so that no request would reach the canary: give it a weight, set mirror: "
            "true, or name the version in tts:warmVersions.",
        )
    section.finish()
    return [canary]


def _read_warm(reader: Reader, *, replicas: int) -> list[_Named]:
    """Each item is `<version>` or, in a stack that promotes images, `<version>@<digest>`."""
    warm = []
    for index, item in enumerate(reader.texts("warmVersions", default=[])):
        version, at, digest = item.partition("@")
        key = f"warmVersions[{index}]"
        for wrong in (version_mistake(version), checks.digest(digest) if at else None):
            if wrong:
                reader.refuse(key, f'is "{item}", {wrong}')
        warm.append(_Named(key, version, key, digest, role=WARM, replicas=replicas))
    return warm


def _refuse_repeats(reader: Reader, named: list[_Named]) -> None:
    first: dict[str, str] = {}
    for each in named:
        if each.version and each.version in first:
            reader.refuse(
                each.key,
                f'is "{each.version}", which tts:{first[each.version]} names already: name another version '
                "or drop one of the two.",
            )
        first.setdefault(each.version, each.key)


def _refuse_mixed_images(reader: Reader, named: list[_Named]) -> None:
    """A stack builds all its images or promotes all: what a revision is may not change with its role."""
    promotes = bool(named[0].digest)
    for each in named[1:]:
        if promotes and not each.digest:
            how = f"write {each.version}@sha256:..." if each.role == WARM else "write sha256:..."
            reader.refuse(
                each.digest_key,
                f"names no digest, but tts:imageDigest says that this stack builds no images: {how}, as the "
                "stack that built it printed it.",
            )
        if each.digest and not promotes:
            reader.refuse(
                each.digest_key,
                "names a digest, but this stack builds its images, since tts:imageDigest is empty: leave it "
                "out.",
            )


def _load(reader: Reader, catalog: Catalog, model: str, named: _Named) -> ModelVersion | None:
    """The entry; a version that is wrong in itself has been reported already."""
    if not named.version or version_mistake(named.version):
        return None
    versions = catalog.versions(model)
    if named.version not in versions:
        known = ", ".join(versions)
        reader.refuse(named.key, f'is "{named.version}", which is not in the catalog: {model} has {known}.')
        return None
    try:
        return catalog.load(model, named.version)
    except CatalogError as error:
        reader.mistakes.extend(each for each in error.mistakes if each not in reader.mistakes)
        return None
