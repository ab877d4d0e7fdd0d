"""`python -m components MODEL VERSION [MODELS]`: what a stack with default settings tells the servers and the
release of a catalog entry, as JSON: {"inference": inference.json, "plan": plan.json}.

Registration asks it whether an entry that it is about to write will be taken, before it writes it."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from components.catalog import Catalog
from components.errors import DeclarationError
from components.plan import release_plan
from components.pod import inference_config
from components.revision import identify
from components.settings import PROJECT, parse_settings

_WRONG, _USAGE = 1, 2
_DEFAULTS = {"registry": "local.tts", "gatewayAddress": "http://127.0.0.1"}


def main(words: Sequence[str], root: Path) -> int:
    """0 with the JSON on stdout, 1 with a sentence for each mistake on stderr."""
    if len(words) not in (2, 3):
        print("Usage: python -m components MODEL VERSION [folder of the catalog]", file=sys.stderr)
        return _USAGE
    try:
        print(
            json.dumps(told(root, *words[:2], models=Path(words[2]) if len(words) == 3 else root / "models"))
        )
    except DeclarationError as error:
        print(error, file=sys.stderr)
        return _WRONG
    return 0


def told(root: Path, model: str, version: str, *, models: Path) -> dict[str, object]:
    """Raises DeclarationError with every mistake of the entry."""
    config = {"model": model, "modelVersion": version, **_DEFAULTS}
    qualified = {f"{PROJECT}:{key}": value for key, value in config.items()}
    settings = parse_settings(qualified, Catalog(models), now=datetime.now(UTC))
    revisions = identify(settings, root)
    target = revisions.target
    return {
        "inference": inference_config(settings, target.entry, target.name),
        "plan": release_plan(settings, revisions),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path.cwd()))
