"""`python -m pipeline`: what the workflows below .github/workflows need code for."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.preview import read_preview
from pipeline.records import find_digest, message
from pipeline.refusals import refusals
from pipeline.smoke import by_http, inspect
from pipeline.stack_file import check_tag, gate_of, pin, sizes_of, version_of
from pipeline.summary import Links, Price, comment, section

REFUSED, UNREADABLE = 1, 2


def main(words: Sequence[str], root: Path) -> int:
    """0 where all is well, 1 with sentences where something must not go on, 2 where it cannot be read."""
    options = parser().parse_args(words)
    try:
        sentences = _run(options, root)
    except PipelineError as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return REFUSED if sentences else 0


def _run(options: argparse.Namespace, root: Path) -> list[str]:
    if options.word == "check":
        return refusals(read_preview(options.preview.read_text()))
    if options.word == "smoke":
        return inspect(by_http(options.url, key=os.environ.get("TTS_API_KEY", "")), version=options.version)
    if options.word == "pin":
        pin(root, options.stack, version=options.version, digest=options.digest)
    else:
        print(_told(options, root), end="")
    return []


def _told(options: argparse.Namespace, root: Path) -> str:
    """What a word says on stdout."""
    if options.word == "tag":
        return check_tag(root, options.tag, tuple(options.stacks)) + "\n"
    if options.word == "version":
        return version_of(root, options.stack) + "\n"
    if options.word == "digest":
        return find_digest(root, options.version, options.refs) + "\n"
    if options.word == "record":
        return message(options.stack, version=options.version, digest=options.digest)
    return _comment(options, root)


def _comment(options: argparse.Namespace, root: Path) -> str:
    price = Price(options.gpu_hour, options.currency) if options.gpu_hour else None
    links = _links(options.files, root) if options.files else None
    sections = []
    for named in options.previews:
        stack, _, path = named.partition("=")
        preview = read_preview(Path(path).read_text())
        sections.append(
            section(
                stack,
                preview,
                lambda model, version: sizes_of(root, model, version),
                price=price,
                promoted=stack in options.promoted,
                links=links,
            )
        )
    return comment(sections)


def _links(base: str, root: Path) -> Links:
    return lambda model, version: [f"{base.rstrip('/')}/{path}" for path in gate_of(root, model, version)]


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    words = whole.add_subparsers(dest="word", required=True)
    check = words.add_parser("check", help="refuse what a preview's steps must not do")
    check.add_argument("preview", type=Path, help="the output of `pulumi preview --json --show-sames`")
    told = words.add_parser("comment", help="the comment of a pull request, on stdout")
    told.add_argument("previews", nargs="+", metavar="STACK=FILE")
    told.add_argument("--gpu-hour", type=float, default=0.0, help="what a GPU costs for an hour")
    told.add_argument("--currency", default="USD")
    told.add_argument(
        "--promoted", nargs="*", default=[], help="stacks whose images another one builds first"
    )
    told.add_argument(
        "--files", default="", metavar="URL", help="where this commit's files are read, for links to the gate"
    )
    tag = words.add_parser("tag", help="the version that a tag names, checked against catalog and stacks")
    tag.add_argument("tag")
    tag.add_argument("stacks", nargs="+")
    pinned = words.add_parser("pin", help="write version and digest into a stack's file")
    pinned.add_argument("stack")
    pinned.add_argument("--version", required=True)
    pinned.add_argument("--digest", default="")
    said = words.add_parser("version", help="the version that a stack's file says")
    said.add_argument("stack")
    digest = words.add_parser("digest", help="the image with which a version was deployed, by git's records")
    digest.add_argument("version")
    digest.add_argument("refs", nargs="+")
    record = words.add_parser("record", help="the message of the commit that records a deployment")
    record.add_argument("stack")
    record.add_argument("--version", required=True)
    record.add_argument("--digest", required=True)
    smoke = words.add_parser("smoke", help="ask the live service (TTS_API_KEY, where it asks for one)")
    smoke.add_argument("url")
    smoke.add_argument("--version", default="")
    return whole


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path.cwd()))
