"""`python -m batchrunner.sandbox`: run a sandbox from the command line."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from typing import TYPE_CHECKING, Final

from batchrunner.sandbox.faults import FAULT_NAMES
from batchrunner.sandbox.settings import Settings, parse_fail, parse_fault_share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_OPTIONS: Final = (
    # flag, setting, type, metavar, help
    ("--token", "token", str, "TEXT", "the only token with rights"),
    ("--fail-500-after", "fail_500_after_percent", float, "PERCENT", "share of the 500s that come after the effect"),
    ("--dedupe-window", "dedupe_window_s", float, "SECONDS", "how long a Request-ID is recognised, 0 = off"),
    ("--dedupe-capacity", "dedupe_capacity", int, "N", "how many Request-IDs are kept at most"),
    ("--latency", "latency_s", float, "SECONDS", "answer each executed call this much later"),
    ("--jitter", "jitter_s", float, "SECONDS", "plus a random time up to this"),
    ("--rate-limit", "rate_limit", float, "PER_SECOND", "above it HTTP 429, 0 = no limit"),
    ("--only", "only", str, "CALL", "what goes wrong goes wrong with this call only, e.g. workflows/start"),
    ("--seed", "seed", int, "N", "of everything random"),
    ("--amqp", "amqp", str, "URL", "answer the queue api_req of this broker, too"),
    ("--keep-requests", "keep_requests", int, "N", "how many raw requests can be looked at"),
)
_LISTS: Final = (
    ("--fail", "fail", parse_fail, "CODE:PERCENT", "this share of calls gets an API error, e.g. 435:2"),
    ("--fault", "faults", parse_fault_share, "FAULT:PERCENT", "this share of requests goes wrong, e.g. drop-after:2"),
    ("--workflow-id", "workflow_ids", int, "ID", "an existing scenario; without any, all exist"),
    ("--resource-id", "resource_ids", int, "ID", "an existing resource; without any, all exist"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until stopped. The first line on standard output is JSON: `{"url": …, "pid": …}`."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    host, port, on_eof = options.pop("host"), options.pop("port"), options.pop("stop_on_stdin_eof")
    try:
        settings = Settings().changed({**options.pop("settings"), **options})
    except ValueError as error:
        parser.error(str(error))
    # Profiles only ever grow, and are not garbage: collecting full generations often would cost most of the time.
    gc.set_threshold(100_000, 50, 1000)
    from batchrunner.sandbox.server import run, serve  # noqa: PLC0415 - after the options: --help stays quick

    try:
        run(serve(settings, host, port, _announce, stop_on_stdin_eof=on_eof))
    except OSError as error:
        sys.stderr.write(f"cannot listen on {host}:{port}: {error.strerror or error}\n")
        return 1
    return 0


def _announce(url: str) -> None:
    sys.stdout.write(json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m batchrunner.sandbox",
        description="A stand-in for the Altcraft platform, on this machine.",
        epilog=f"Faults: {FAULT_NAMES}. In an address, too: ann+drop-after-once@example.com, ann+fail-435-times3@…",
        argument_default=argparse.SUPPRESS,  # so that only what was said overrides --settings
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on, 0 = a free one (default)")
    for flag, name, kind, metavar, help_text in _OPTIONS:
        parser.add_argument(flag, dest=name, type=kind, metavar=metavar, help=f"{help_text} {_default(name)}")
    for flag, name, read, metavar, help_text in _LISTS:
        parser.add_argument(
            flag, dest=name, action="append", type=_reader(read), metavar=metavar, help=f"{help_text} (repeatable)"
        )
    parser.add_argument("--http-status", choices=["ok", "mirror"], help="API errors as HTTP 200 (ok) or their own code")
    parser.add_argument("--batch-item", choices=["any", "wrapped", "flat"], help="how items of a batch must be written")
    parser.add_argument(
        "--forget-errors", dest="remember_errors", action="store_false", help="repeats of refused calls are executed"
    )
    parser.add_argument("--settings", type=_json_object, default={}, metavar="JSON", help="settings as a JSON object")
    parser.add_argument("--stop-on-stdin-eof", action="store_true", default=False, help="stop when standard input ends")
    return parser


def _default(name: str) -> str:
    return f"(default {getattr(Settings(), name)})"


def _reader(read: Callable[[str], object]) -> Callable[[str], object]:
    def reading(text: str) -> object:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return reading


def _json_object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError as error:
        msg = f"not JSON: {error}"
        raise argparse.ArgumentTypeError(msg) from error
    if not isinstance(value, dict):
        msg = "not a JSON object"
        raise argparse.ArgumentTypeError(msg)
    return value


if __name__ == "__main__":
    sys.exit(main())
