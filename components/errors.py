"""What the declarations refuse: one error tree, every mistake of one reading in one error."""

from collections.abc import Sequence


class DeclarationError(Exception):
    """The stack cannot be declared; `mistakes` holds one sentence for each reason."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


class SettingsError(DeclarationError):
    """The stack's configuration is wrong."""


class CatalogError(DeclarationError):
    """An entry of the catalog is wrong or missing."""


class SourceError(DeclarationError):
    """A file that an image is built from is missing or cannot be understood."""
