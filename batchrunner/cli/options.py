"""What several commands share: options, where things live by default, and how errors leave the program."""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from batchrunner.cli.exits import exhausted, of_error
from batchrunner.errors import BatchrunnerError

APP = "batchrunner"

NOISY = ("httpx", "httpcore", "asyncio", "aiobotocore", "asyncssh", "botocore", "fsspec", "gcsfs", "google", "requests",
         "s3fs", "sshfs", "urllib3")  # fmt: skip
"""Libraries that have a log of their own."""


def state_dir() -> Path:
    """`$XDG_STATE_HOME/batchrunner`."""
    from platformdirs import user_state_path  # noqa: PLC0415  not needed for --help

    return user_state_path(APP)


def default_ledger(*, sandbox: bool = False) -> str:
    """Where the ledger lives. What the sandbox accepted was sent to nobody, so it has a ledger of its own."""
    return str(state_dir() / ("sandbox.db" if sandbox else "ledger.db"))


def parsed(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """A callback that turns an option's text into a value, or into a usage error with the parser's own sentence."""

    def callback(_: click.Context, parameter: click.Parameter, value: str | None) -> Any:  # noqa: ANN401
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), param=parameter) from None

    return callback


job_argument = click.argument("job", type=click.Path(path_type=Path, dir_okay=False))
sources_argument = click.argument("sources", nargs=-1, type=click.Path())
ledger_option = click.option(
    "--ledger", metavar="URL|PATH", help="The ledger. Default: $XDG_STATE_HOME/batchrunner/ledger.db."
)
output_option = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="On stdout."
)


insecure_option = click.option(
    "--insecure", is_flag=True, help="Do not verify the server's certificate. Anybody in between can read the token."
)


def logging_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`-v` and `-q`."""

    @click.option("-v", "--verbose", count=True, help="Log to stderr: -v each row that is not accepted, -vv more.")
    @click.option("-q", "--quiet", is_flag=True, help="No progress, and no summary when every row ended well.")
    @functools.wraps(command)
    def with_logging(*args: Any, verbose: int, **kwargs: Any) -> Any:  # noqa: ANN401
        log_to_stderr((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])
        return command(*args, **kwargs)

    return with_logging


def log_to_stderr(level: int) -> None:
    """The log of a process, from a level on."""
    logging.basicConfig(stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # They would log every request and its address, and some of them the signatures in it.
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def fail(error: BatchrunnerError, output: str = "text") -> NoReturn:
    """End the program with the error's sentence on stderr and its exit code."""
    if output == "json":
        say_json(error_values(error))
    for line in str(error).splitlines():
        click.echo(f"batchrunner: {line}", err=True)
    raise SystemExit(of_error(error))


def error_values(error: BatchrunnerError) -> dict[str, Any]:
    """An error that ended a command, for programs."""
    from batchrunner.nights import event_of  # noqa: PLC0415  not needed for --help

    event = event_of(error)
    return {"error": str(error), "exit_code": of_error(error), **({"reason": event.reason} if event else {})}


def ending_well(command: Callable[..., Any]) -> Callable[..., Any]:
    """The edge of the program: errors that a user is meant to read leave as one sentence, not as a traceback."""

    @functools.wraps(command)
    def ended(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        try:
            return command(*args, **kwargs)
        except BatchrunnerError as error:
            fail(error, kwargs.get("output", "text"))
        except Exception as error:
            end = exhausted(error)
            if end is None:
                raise
        # Out here everything that was in the way has been let go of: there is room for a sentence.
        return fail(end, kwargs.get("output", "text"))

    return ended


def say_json(value: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))
