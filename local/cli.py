"""The commands of `python -m local`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from local.engine.config import write_version
from local.engine.platform import Platform
from local.engine.report import Report
from local.engine.target import Target
from local.engine.update import down, preview, up
from local.errors import LocalError
from local.home import CHECKOUT, Home


def main(arguments: Sequence[str], *, root: Path = CHECKOUT) -> int:
    """Run one command and return the exit status: 0 done, 1 failed with its reason printed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
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
    if options.command == "status":
        from local.status import tell_status

        return tell_status(target, platform, report)
    if options.command == "logs":
        from local.status import tell_logs

        return tell_logs(
            target, platform, report, previous=options.previous, follow=options.follow, tail=options.tail
        )
    if options.command == "release":
        old = write_version(root, options.stack, options.version)
        report.say(f"Pulumi.{options.stack}.yaml: tts:modelVersion {old} => {options.version}")
    work = {"up": up, "release": up, "preview": preview, "down": down}[options.command]
    return 0 if work(target, platform, report) else 1


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
    commands.add_parser("up", parents=[common], help="bring the stack to what its config says")
    commands.add_parser("preview", parents=[common], help="show what `up` would change; touches nothing")
    release = commands.add_parser(
        "release", parents=[common], help="write VERSION into the config and run `up`"
    )
    release.add_argument("version", metavar="VERSION")
    commands.add_parser("status", parents=[common], help="what is live, since when, by which release")
    logs = commands.add_parser("logs", parents=[common], help="the logs of the stack's pods")
    logs.add_argument("--follow", action="store_true", help="go on until interrupted")
    logs.add_argument("--previous", action="store_true", help="of the containers before their last restart")
    logs.add_argument(
        "--tail", type=int, default=50, metavar="LINES", help="last lines of each pod (default: 50)"
    )
    commands.add_parser("down", parents=[common], help="remove the stack")
    commands.add_parser("demo", parents=[common], help="two real releases on this machine, under traffic")
    return parser
