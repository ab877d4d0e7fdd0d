"""`python train.py TEXT ORDER MODEL`: what usually follows ORDER words of a text, as server.py reads it."""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path


def train(text: str, order: int) -> dict[str, object]:
    """For each so many words the one that follows most often, the first of them in the alphabet."""
    words = text.lower().split()
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for place in range(len(words) - order):
        seen[" ".join(words[place : place + order])][words[place + order]] += 1
    likeliest = {before: min(found, key=lambda word: (-found[word], word)) for before, found in seen.items()}
    return {"order": order, "next": dict(sorted(likeliest.items()))}


if __name__ == "__main__":
    model = train(Path(sys.argv[1]).read_text(encoding="utf-8"), int(sys.argv[2]))
    Path(sys.argv[3]).write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")
