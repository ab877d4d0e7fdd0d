"""A freeze: until a moment, one version stays the one that people hear, whoever runs the program."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from components.catalog import version_mistake
from components.reader import Reader


@dataclass(frozen=True)
class Override:
    """Who lifts a freeze, and why."""

    by: str
    reason: str


@dataclass(frozen=True)
class Freeze:
    """Until `until` (with a time zone) only `version` may have weight."""

    version: str
    until: datetime
    reason: str
    override: Override | None


def read_freeze(reader: Reader) -> Freeze | None:
    """The freeze of the stack; None where there is none, or where it cannot be read."""
    section = reader.section("freeze", optional=True)
    if not section.given:
        return None
    version = section.text("version", check=version_mistake)
    written = section.text("until")
    until = moment_of(written)
    if written and until is None:
        section.refuse(
            "until",
            f'is "{written}", which is no date (2027-01-07, its first moment in UTC) and no time with its '
            "zone (2027-01-07T08:00:00+01:00): write one of the two.",
        )
    reason = section.text("reason")
    override = _read_override(section)
    section.finish()
    readable = until and reason and not version_mistake(version)
    return Freeze(version, until, reason, override) if until and readable else None


def moment_of(text: str) -> datetime | None:
    """The moment that a date (its first, in UTC) or a time of RFC 3339 names, or None."""
    try:
        if len(text) == len("2027-01-07"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def apply_freeze(
    reader: Reader, freeze: Freeze | None, *, now: datetime, audible: dict[str, str]
) -> str | None:
    """Refuses each version of `audible` (setting -> version that people would hear) that the freeze forbids.

    With an override nothing is refused: the answer is the sentence to say aloud."""
    if freeze is None or now >= freeze.until:
        return None
    others = {key: version for key, version in audible.items() if version and version != freeze.version}
    until = freeze.until.isoformat()
    if freeze.override is None:
        for key, version in others.items():
            reader.refuse(
                key,
                f'is "{version}", but {freeze.version} is frozen until {until} ({freeze.reason}): keep '
                f"{freeze.version}, or lift it with tts:freeze.override: {{by, reason}}.",
            )
        return None
    if not others:
        return None
    return (
        f"The freeze of {freeze.version} until {until} ({freeze.reason}) is lifted for "
        f"{', '.join(others.values())} by {freeze.override.by}: {freeze.override.reason}"
    )


def _read_override(section: Reader) -> Override | None:
    override = section.section("override", optional=True)
    if not override.given:
        return None
    found = Override(by=override.text("by"), reason=override.text("reason"))
    override.finish()
    return found
