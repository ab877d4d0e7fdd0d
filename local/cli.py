"""The commands of `python -m local`."""

from __future__ import annotations

import argparse
import gc
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from local.engine.config import write_version
from local.engine.platform import Platform
from local.engine.report import Report
from local.engine.target import Target
from local.engine.update import down, preview, render, up
from local.errors import LocalError
from local.home import CHECKOUT, Home


def main(arguments: Sequence[str], *, root: Path = CHECKOUT) -> int:
    """Run one command and return the exit status: 0 done, 1 failed with its reason printed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    # Imports make objects by the hundred thousand that all stay: looking for garbage among them is a tenth of
    # the time until the first change.
    gc.set_threshold(100_000)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _command(options, root)
    except LocalError as error:
        print(str(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _command(options: argparse.Namespace, root: Path) -> int:
    if options.command == "demo":
        from local.demo import run_demo

        return run_demo(options.stack)
    target = Target(root, options.stack, tuple(options.config), options.kubeconfig)
    platform, report = Platform(Home.from_environment(), options.kubeconfig), Report()
    if options.command in _BESIDE:
        return _BESIDE[options.command](options, target, platform, report)
    if options.command == "release":
        old = write_version(root, options.stack, options.version)
        report.say(f"Pulumi.{options.stack}.yaml: tts:modelVersion {old} => {options.version}")
    work = {"up": up, "release": up, "preview": preview, "down": down}[options.command]
    return 0 if work(target, platform, report) else 1


def _render(options: argparse.Namespace, target: Target, platform: Platform, report: Report) -> int:
    out = options.out.resolve() if options.out else None
    return 0 if render(target, platform, report, out) else 1


def _status(_options: argparse.Namespace, target: Target, platform: Platform, report: Report) -> int:
    from local.status import tell_status

    return tell_status(target, platform, report)


def _logs(options: argparse.Namespace, target: Target, platform: Platform, report: Report) -> int:
    from local.status import tell_logs

    return tell_logs(
        target, platform, report, previous=options.previous, follow=options.follow, tail=options.tail
    )


def _upload(options: argparse.Namespace, target: Target, platform: Platform, report: Report) -> int:
    from local.upload import upload

    return upload(target, options.version, options.files, platform.home, report)


def _register(options: argparse.Namespace, target: Target, platform: Platform, report: Report) -> int:
    from local.register import Request, register

    request = Request(options.folder.resolve(), options.model, options.version, edit=options.edit)
    register(request, target, platform.home, report)
    return 0


def _api_key(options: argparse.Namespace, target: Target, platform: Platform, report: Report) -> int:
    from local.keys import api_key

    return api_key(target, options.name, platform, report, revoke=options.revoke)


def _export_records(options: argparse.Namespace, target: Target, platform: Platform, _report: Report) -> int:
    from local.records import export_records

    given = {"--since": options.since, "--rated": options.rated}
    words = [word for option, value in given.items() if value for word in (option, value)]
    return export_records(target, options.out, platform, words)


# What changes nothing that is declared.
_BESIDE = {
    "render": _render,
    "status": _status,
    "logs": _logs,
    "upload": _upload,
    "register": _register,
    "api-key": _api_key,
    "export-records": _export_records,
}


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--stack", default="dev", help="which Pulumi.<stack>.yaml (default: dev)")
    common.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a value of the config this once",
    )
    common.add_argument(
        "--kubeconfig", type=Path, help="use this cluster's current context instead of the embedded platform"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_changes(commands, common)
    _add_files(commands, common)
    _add_looks(commands, common)
    return parser


def _add_changes(commands: Commands, common: argparse.ArgumentParser) -> None:
    commands.add_parser("up", parents=[common], help="bring the stack to what its config says")
    commands.add_parser("preview", parents=[common], help="show what `up` would change; touches nothing")
    rendered = commands.add_parser(
        "render", parents=[common], help="write the stack's objects for Argo CD; touches no cluster"
    )
    rendered.add_argument("--out", type=Path, metavar="DIR", help="instead of the folder of tts:gitops")
    release = commands.add_parser(
        "release", parents=[common], help="write VERSION into the config and run `up`"
    )
    release.add_argument("version", metavar="VERSION")


def _add_files(commands: Commands, common: argparse.ArgumentParser) -> None:
    uploaded = commands.add_parser(
        "upload", parents=[common], help="put a version's model files where servers fetch them from"
    )
    uploaded.add_argument("version", metavar="VERSION")
    uploaded.add_argument(
        "--files", type=Path, metavar="DIR", help="the folder that has them (default: the entry's sources)"
    )
    registered = commands.add_parser(
        "register", parents=[common], help="make a version of the catalog from a training output"
    )
    registered.add_argument("folder", type=Path, metavar="DIR", help="what training has written")
    registered.add_argument("model", metavar="MODEL")
    registered.add_argument("version", metavar="VERSION")
    registered.add_argument(
        "--edit", action="store_true", help="write the version into the stack's config, too"
    )
    exported = commands.add_parser(
        "export-records", parents=[common], help="write the stack's records as a data set for training"
    )
    exported.add_argument("out", type=Path, metavar="DIR", help="a new folder")
    exported.add_argument("--since", metavar="YYYY-MM-DD", help="none that is older (UTC)")
    exported.add_argument("--rated", choices=("up", "down"), help="only what is rated so")
    key = commands.add_parser(
        "api-key", parents=[common], help="make an API key for a caller, or take a caller's keys away"
    )
    key.add_argument("name", metavar="NAME", help="whose key it is; `probe` for the stack's releases")
    key.add_argument("--revoke", action="store_true", help="take the keys of NAME away")


def _add_looks(commands: Commands, common: argparse.ArgumentParser) -> None:
    commands.add_parser("status", parents=[common], help="what is live, since when, by which release")
    logs = commands.add_parser("logs", parents=[common], help="the logs of the stack's pods")
    logs.add_argument("--follow", action="store_true", help="go on until interrupted")
    logs.add_argument("--previous", action="store_true", help="of the containers before their last restart")
    logs.add_argument(
        "--tail", type=int, default=50, metavar="LINES", help="last lines of each pod (default: 50)"
    )
    commands.add_parser("down", parents=[common], help="remove the stack")
    commands.add_parser("demo", parents=[common], help="two real releases on this machine, under traffic")
