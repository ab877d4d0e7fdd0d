"""How much VoxCPM can speak at once: text, sound of the voice and sound to be made share its context."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voxcpm.model.voxcpm import VoxCPMModel

from serving.engines.unspaced import UNSPACED, pieces
from serving.engines.voxcpm.prompts import Prompt
from serving.errors import UnspeakableError

Tokenizer = Callable[[str], list[int]]

CHARACTERS = 220
"""Of one part in a script with spaces, some 15 s of sound; a third of it in one without."""

# The package ends a sound that is longer than this, as one that has gone wrong.
_PATCHES_A_TOKEN = 6
_MORE_PATCHES = 10
_LEAST_CHARACTERS = 8


@dataclass(frozen=True, kw_only=True)
class Budget:
    """`context`: how many tokens and patches of sound the model holds at once."""

    context: int

    @classmethod
    def of(cls, model: VoxCPMModel) -> Budget:
        """What a model's caches and positions allow."""
        return cls(context=min(model.config.max_length, model.config.lm_config.max_position_embeddings))

    def tokens(self, prompt_tokens: int, prompt: Prompt | None) -> int:
        """How many tokens a part may have, so that the sound of all of it fits behind it; and where there is
        no prompt, behind another part, whose voice it goes on in."""
        ahead = prompt_tokens + prompt.patches if prompt else _MORE_PATCHES
        left = self.context - 1 - _MORE_PATCHES - ahead
        return left // ((1 + _PATCHES_A_TOKEN) * (1 if prompt else 2))

    def patches_for(self, text: str, tokenizer: Tokenizer, prompt: Prompt | None) -> int:
        """How many patches of sound fit behind a text."""
        whole = (prompt.text if prompt else "") + text
        return self.context - len(tokenizer(whole)) - 1 - (prompt.patches if prompt else 0)


def parts_of(text: str, tokenizer: Tokenizer, budget: Budget, prompt: Prompt | None) -> list[str]:
    """The text in parts that the model can speak, each to its end. Raises UnspeakableError."""
    if not any(character.isalnum() for character in text):
        raise UnspeakableError(
            "The field `input` holds nothing that can be spoken: there is no letter or number in it."
        )
    most_tokens = budget.tokens(len(tokenizer(prompt.text)) if prompt else 0, prompt)
    most = CHARACTERS // 3 if UNSPACED.search(text) else CHARACTERS
    while most >= _LEAST_CHARACTERS:
        parts = [piece.text for piece in pieces(text, most)]
        if all(len(tokenizer(part)) <= most_tokens for part in parts):
            return [part for part in parts if any(character.isalnum() for character in part)]
        most //= 2
    raise UnspeakableError(_too_long(most_tokens, prompt), param="voice" if most_tokens < 1 else "input")


def _too_long(most_tokens: int, prompt: Prompt | None) -> str:
    if prompt is not None and most_tokens < _LEAST_CHARACTERS:
        return "The recording of the voice leaves no room for a text in this model; give a shorter one."
    return "The field `input` holds a word that is too long for this model; put spaces between its parts."
