"""The tokenizer of a VoxCPM that has learnt nothing: `random_tokenizer.py CONFIG.json OUTPUT`.

Each character is a token: those of ASCII, and as many Chinese ones as the vocabulary of the config has room
for. OUTPUT is called as one of the two files of a tokenizer.
"""

import json
import sys
from pathlib import Path
from typing import Any

_SPECIAL = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
_ASCII = [chr(code) for code in range(0x20, 0x7F)]
_CHINESE = 0x4E00


def main(config: Path, output: Path) -> int:
    """Writes the file; returns the exit code."""
    size = int(json.loads(config.read_text(encoding="utf-8"))["lm_config"]["vocab_size"])
    files = {
        "tokenizer.json": _tokenizer(size),
        "tokenizer_config.json": {"tokenizer_class": "LlamaTokenizerFast", **_SPECIAL},
    }
    if output.name not in files:
        print(f"{output.name} is no file of a tokenizer", file=sys.stderr)
        return 1
    output.write_text(json.dumps(files[output.name], indent=1), encoding="utf-8")
    return 0


def _tokenizer(size: int) -> dict[str, Any]:
    signs = [*_SPECIAL.values(), *_ASCII]
    signs += [chr(_CHINESE + number) for number in range(size - len(signs))]
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": content, **special} for number, content in enumerate(_SPECIAL.values())
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": "."},
            "behavior": "Isolated",
            "invert": False,
        },
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {sign: number for number, sign in enumerate(signs)},
            "unk_token": _SPECIAL["unk_token"],
        },
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
