"""`sandbox`: the stand-in server. Its options are those of `python -m batchrunner.sandbox`, so that they exist once."""

from __future__ import annotations

import click


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> None:
    """Start the stand-in server: [--port N] [--latency SECONDS] [--fail CODE:PERCENT] … (--help shows all)."""
    from batchrunner.sandbox.__main__ import main  # noqa: PLC0415  aiohttp is slow to import

    raise SystemExit(main(arguments))
