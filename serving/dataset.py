"""Records as a data set for training.

python -m serving.dataset s3://BUCKET/PREFIX hibari OUT [--endpoint URL] [--region R]
python -m serving.dataset FOLDER hibari OUT

OUT/metadata.jsonl      a line for each answer whose audio is there: file_name, text, voice, rating and more
OUT/preferences.jsonl   a line for each vote between two answers: text, chosen, rejected
OUT/records.jsonl       every record as it is kept, with its rating
OUT/audio/              the audio; pcm as wav
"""

import argparse
import json
import re
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serving.errors import ArtifactError, ServingError
from serving.records import RATING, RECORD, by_request, entries, is_deleted
from serving.storage.config import Endpoint, StoreConfig, place_of
from serving.storage.store import Store, joined, open_store

_VOTE = re.compile(r"comparison \((?:not )?blind\): preferred to (?P<ids>.+) of version \S+")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which records: none that was made before `since`, and those rated so alone, where that is said."""

    since: datetime | None = None
    rated: str | None = None


@dataclass
class Exported:
    """How many lines each file has; `lost` is audio that a record names and the store has no more."""

    records: int = 0
    metadata: int = 0
    preferences: int = 0
    lost: list[str] = field(default_factory=list)


def export(store: Store, prefix: str, model: str, out: Path, choice: Choice) -> Exported:
    """Writes the data set into the folder `out`, which must be empty or missing.

    Raises ArtifactError where it is not, and StorageError."""
    if out.exists() and any(out.iterdir()):
        raise ArtifactError(f"The folder {out} is not empty; name a new one.")
    (out / "audio").mkdir(parents=True, exist_ok=True)
    done, files = Exported(), {}
    records = list(_records(store, joined(prefix, "records", model), choice))
    with (out / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
        for record in records:
            file_name = _audio(store, record, out)
            if file_name is None:
                if record["audio"]:
                    done.lost.append(record["audio"])
                continue
            files[record["id"]] = file_name
            metadata.write(_line({"file_name": file_name, **_described(record)}))
            done.metadata += 1
    with (out / "records.jsonl").open("w", encoding="utf-8") as whole:
        whole.writelines(_line(record) for record in records)
        done.records = len(records)
    with (out / "preferences.jsonl").open("w", encoding="utf-8") as preferences:
        for pair in _preferences(records, files):
            preferences.write(_line(pair))
            done.preferences += 1
    return done


def _records(store: Store, folder: str, choice: Choice) -> Iterator[dict[str, Any]]:
    """Each record that nobody asked to delete, with its last rating, the oldest first."""
    requests = by_request(entries(store.list(folder))).values()
    for found in sorted(requests, key=lambda each: each[0].at):
        ratings = [each for each in found if each.kind == RATING and not is_deleted(each, found)]
        rating = _read(store, ratings[-1].key) if ratings else {}
        for each in found:
            new = choice.since is None or each.at >= choice.since
            wanted = new and choice.rated in (None, rating.get("rating"))
            if each.kind != RECORD or is_deleted(each, found) or not wanted:
                continue
            if record := _read(store, each.key):
                yield {**record, "rating": rating.get("rating"), "comment": rating.get("comment")}


def _read(store: Store, key: str) -> dict[str, Any]:
    """An object's JSON; nothing where it has just gone."""
    kept = store.get(key)
    found = json.loads(kept.content) if kept else {}
    return found if isinstance(found, dict) else {}


def _audio(store: Store, record: dict[str, Any], out: Path) -> str | None:
    """The name of a record's audio file, once it is there; None where there is none."""
    kept = store.get(record["audio"]) if record["audio"] else None
    if kept is None:
        return None
    name = Path(str(record["audio"])).name
    if not name.endswith(".pcm"):
        (out / "audio" / name).write_bytes(kept.content)
        return f"audio/{name}"
    name = f"{name.removesuffix('.pcm')}.wav"
    with wave.open(str(out / "audio" / name), "wb") as file:
        file.setparams((1, 2, int(record["sample_rate"]), 0, "NONE", ""))
        file.writeframes(kept.content)
    return f"audio/{name}"


def _described(record: dict[str, Any]) -> dict[str, Any]:
    """What training wants to know of an audio file; who asked for it is not part of that."""
    wanted = ("text", "voice", "version", "speed", "phonemes", "instructions", "rating", "comment")
    return {
        **{key: record[key] for key in wanted},
        "duration": record["audio_seconds"],
        "sample_rate": record["sample_rate"],
    }


def _preferences(records: list[dict[str, Any]], files: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Of each vote in a comparison: the preferred audio and the other one, where both are there."""
    for record in records:
        vote = _VOTE.fullmatch(record["comment"] or "")
        rejected = vote["ids"].split() if vote else []
        # A text of several requests has no pairs of single files.
        if len(rejected) == 1 and record["id"] in files and rejected[0] in files:
            yield {
                "text": record["text"],
                "chosen": files[record["id"]],
                "rejected": files[rejected[0]],
                "voice": record["voice"],
            }


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        store, prefix = _store(options)
        choice = Choice(since=options.since, rated=options.rated)
        done = export(store, prefix, options.model, options.out, choice)
    except ServingError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(
        f"{options.out}: {done.records} records, {done.metadata} with audio, {done.preferences} preferences."
    )
    for key in done.lost:
        print(f"The audio {key} is not in the store any more.", file=sys.stderr)
    return 0


def _store(options: argparse.Namespace) -> tuple[Store, str]:
    place = str(options.place)
    in_bucket = place.startswith("s3://")
    bucket, prefix = place_of(place) if in_bucket else ("", options.prefix)
    endpoint = Endpoint(address=options.endpoint, region=options.region)
    config = StoreConfig(endpoint=endpoint, bucket=bucket, folder=Path(place), prefix=prefix, outputs=False)
    return open_store(config), prefix


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.dataset", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("place", metavar="STORE", help="s3://BUCKET/PREFIX, or the folder of a volume")
    parser.add_argument("model")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--prefix", default="", help="below the folder of a volume")
    parser.add_argument("--endpoint", default="", metavar="URL", help="of a server other than Amazon's")
    parser.add_argument("--region", default="", help="of the bucket (default: AWS_REGION, or us-east-1)")
    parser.add_argument("--since", type=_day, metavar="YYYY-MM-DD", help="none that is older (UTC)")
    parser.add_argument("--rated", choices=("up", "down"), help="only what is rated so")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
