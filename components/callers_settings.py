"""What a stack says about its callers: who is answered and how many at once, what they may know, and what is
kept of what they say."""

from collections.abc import Mapping
from dataclasses import dataclass

from components import checks
from components.reader import Reader


@dataclass(frozen=True)
class ApiKeys:
    """`secret` names a Secret: its entry `keys` has the sha256 of every key, for the servers; its entry
    `probe` the key of the stack's releases. Where keys are not `required`, everybody is answered, and a
    release still shows its key: an older revision may want it."""

    secret: str
    required: bool


@dataclass(frozen=True)
class Callers:
    """Without `api_keys` everybody is answered. `admission` has what the stack says of it and nothing else.
    `list_versions`: whether callers may know the versions; `log_texts`: whether logs may hold what they have
    spoken; `record_days`: for how long records are kept, None where none are made; `voices_per_key`: how many
    voices a caller may add, None where none are kept."""

    api_keys: ApiKeys | None
    admission: Mapping[str, int]
    list_versions: bool
    log_texts: bool
    record_days: int | None
    voices_per_key: int | None

    @property
    def keep_objects(self) -> bool:
        """Whether servers read back, list and delete what they write to the store."""
        return self.record_days is not None or self.voices_per_key is not None


def read_callers(reader: Reader) -> Callers:
    """All that the stack says about its callers."""
    return Callers(
        api_keys=read_api_keys(reader),
        admission=read_admission(reader),
        list_versions=reader.flag("listVersions", default=False),
        log_texts=reader.flag("logTexts", default=False),
        record_days=read_records(reader),
        voices_per_key=read_voices(reader),
    )


def read_records(reader: Reader) -> int | None:
    """The days for which records are kept; None where the stack makes none."""
    return _read_stored(reader, "records", "days", high=3650, needs="a place for the records")


def read_voices(reader: Reader) -> int | None:
    """How many voices a caller may add; None where the stack keeps none."""
    return _read_stored(reader, "voices", "perKey", high=1000, needs="a place that all servers share")


def _read_stored(reader: Reader, name: str, key: str, *, high: int, needs: str) -> int | None:
    """The one number of a section about what is kept in the store; None where the section is left out."""
    section = reader.section(name, optional=True)
    if not section.given:
        return None
    number = section.whole(key, low=1, high=high)
    section.finish()
    if not reader.section("store", optional=True).given:
        section.refuse(key, f"needs {needs}, but tts:store is not set: name its bucket or claim.")
    return number


def read_api_keys(reader: Reader) -> ApiKeys | None:
    """The stack's keys; None where it names none."""
    section = reader.section("apiKeys", optional=True)
    if not section.given:
        return None
    keys = ApiKeys(
        secret=section.text("secret", check=checks.secret_name),
        required=section.flag("required", default=True),
    )
    section.finish()
    return keys


def read_admission(reader: Reader) -> Mapping[str, int]:
    """What the stack says of the server's door, and nothing of what it leaves to the server."""
    section = reader.section("admission", optional=True)
    bounds = {"streams": (1, 10_000), "queue": (0, 10_000), "waitSeconds": (0, 600), "perKey": (1, 10_000)}
    read = {key: section.whole_limit(key, low=low, high=high) for key, (low, high) in bounds.items()}
    if read["perKey"] is not None and not reader.section("apiKeys", optional=True).given:
        section.refuse(
            "perKey", "is a limit for each API key, but tts:apiKeys names no Secret: leave it out."
        )
    section.finish()
    return {key: value for key, value in read.items() if value is not None}


def access_notice(callers: Callers) -> str | None:
    """What a person should know where nobody is refused."""
    keys = callers.api_keys
    if keys is not None and keys.required:
        return None
    shared = (
        ""
        if callers.voices_per_key is None
        else " Voices that are added have no owner: all see them, use them and delete them."
    )
    if keys is None:
        return (
            "No API key is asked for: whoever reaches the gateway is answered. tts:apiKeys asks for keys."
            f"{shared}"
        )
    return f"No API key is asked for: tts:apiKeys.required is false, and releases alone show theirs.{shared}"
