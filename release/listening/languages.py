"""Which languages can be listened to. The seam for another recogniser: one more entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from release.listening.recogniser import Recogniser

RECOGNISERS: Mapping[str, Callable[[Sequence[str]], Recogniser]] = {"en": Recogniser}
"""By the language's primary subtag: `en` stands for `en-GB` too."""

NEEDS_RECOGNISER = frozenset({"intelligibility"})
"""Every other check listens to the sound, or to the clock, whatever the language."""


def recogniser_for(languages: Sequence[str], texts: Sequence[str]) -> Recogniser | None:
    """A recogniser for the gate's texts, or None where there is none for one of the languages.

    A text does not say which of the languages it is in, so all of them must be the recogniser's.
    """
    makers = {RECOGNISERS.get(_primary(language)) for language in languages}
    maker = makers.pop() if len(makers) == 1 else None
    return maker(texts) if maker else None


def unjudged_reason(check: str, languages: Sequence[str]) -> str | None:
    """Why nobody can judge `check` for these languages, as a sentence; None when somebody can."""
    if check not in NEEDS_RECOGNISER:
        return None
    if not languages:
        return f"The check {check} needs a recogniser, and the catalog entry names no language."
    missing = [language for language in languages if _primary(language) not in RECOGNISERS]
    if not missing:
        return None
    known = ", ".join(RECOGNISERS)
    return (
        f"The check {check} needs a recogniser for {', '.join(missing)}, and there is one for {known} only: "
        "whether the right words are spoken is not judged."
    )


def _primary(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].lower()
