"""The command line: any words are a command with values, or a usage error. Nothing is carried out.

As bytes: words, with a NUL between them.
"""

from __future__ import annotations

import contextlib
import io
import os

import click

from batchrunner.cli import main
from batchrunner.errors import BatchrunnerError
from batchrunner.ledger.database import locate

SEEDS = (
    b"run\0job.toml\0--rate\x0050/s\0--concurrency\0auto\0--max-errors\x005%\0--limit\x003\0--wait\x0010m",
    b"retry\0job.toml\0--ledger\0sqlite:///x.db\0-vv\0--output\0json",
    b"purge\0job.toml\0--older-than\x0090d\0--dry-run",
    b"pause\0job.toml\0--for\x007d\0--why\0x",
    b"resolve\0job.toml\0--run\0last\0--as\0failed",
    b"ledger\0export\0crm\0--format\0jsonl\0--to\0x",
    b"ledger\0repair\0--ledger\0x.db",
    b"schedule\0next\0job.toml",
    b"sandbox\0--port\x000\0--fail\x00435=5%",
    b"show\0last",
)
PIECES = (b"\0", b"-", b"--", b"=", b"@", b"%", b"-1", b"1e999", b"99999999999999999999", b"\xc2\xb2", b"\xd9\xa3",
          b"nan", b"auto", b"/s", b"../", b"~nobody/x", b"\xff", b"\n", b"--help", b"--output=")  # fmt: skip


def try_one(data: bytes) -> None:
    """As click reads them, callbacks of options included."""
    words = [os.fsdecode(word) for word in data.split(b"\0")]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with contextlib.suppress(click.ClickException, click.exceptions.Exit, click.Abort, BatchrunnerError):
            read(main, words)
        for word in words:
            with contextlib.suppress(BatchrunnerError):
                assert locate(word).is_absolute()


def read(command: click.Command, words: list[str]) -> None:
    """Read the words of a command, and those of its subcommand."""
    context = command.make_context("batchrunner", words, resilient_parsing=False)
    rest = [*context._protected_args, *context.args]
    if isinstance(command, click.Group) and rest:
        _, inner, behind = command.resolve_command(context, rest)
        if inner is not None:
            read(inner, behind)
