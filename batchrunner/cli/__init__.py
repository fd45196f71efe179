"""The command line. Each command is imported when it is called, so that `--help` costs next to nothing."""

from __future__ import annotations

import importlib

import click

from batchrunner import __version__
from batchrunner.cli.exits import table
from batchrunner.cli.importing import not_collecting

COMMANDS = {
    "init": "batchrunner.cli.init:init",
    "run": "batchrunner.cli.run:run",
    "retry": "batchrunner.cli.retry:retry",
    "preview": "batchrunner.cli.judge:preview",
    "check": "batchrunner.cli.check:check",
    "status": "batchrunner.cli.look:status",
    "runs": "batchrunner.cli.look:runs",
    "show": "batchrunner.cli.look:show",
    "resolve": "batchrunner.cli.resolve:resolve",
    "pause": "batchrunner.cli.pause:pause",
    "unpause": "batchrunner.cli.pause:unpause",
    "purge": "batchrunner.cli.purge:purge",
    "ledger": "batchrunner.cli.ledger_files:ledger",
    "doctor": "batchrunner.cli.doctor:doctor",
    "serve": "batchrunner.cli.serve:serve",
    "notify": "batchrunner.cli.notify:notify",
    "schedule": "batchrunner.cli.schedule:schedule",
    "results": "batchrunner.cli.results:results",
    "sandbox": "batchrunner.cli.sandbox:sandbox",
}

SHORT_HELP = {
    "init": "Write a job file from a look at an export.",
    "run": "Import an export: every row once.",
    "retry": "Send the rows again that failed.",
    "preview": "Show the request bodies of the first rows.",
    "check": "Judge a job and a whole file without sending.",
    "status": "What each job has done and what waits.",
    "runs": "List past runs.",
    "show": "Show one run.",
    "resolve": "Decide about rows in doubt.",
    "pause": "Let no run of a job begin, and stop the one under way.",
    "unpause": "Lift the pause of a job.",
    "purge": "Delete what old runs left behind.",
    "ledger": "Back the ledger up, make it smaller, export it.",
    "doctor": "Try the way to the platform before a first load.",
    "serve": "Run jobs when they are due, in the foreground.",
    "notify": "Who is told of scheduled runs.",
    "schedule": "When a job runs by itself.",
    "results": "Complete the result files of a run, or write them anew.",
    "sandbox": "Start the stand-in server.",
}


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of use."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import it."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        with not_collecting():
            command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(SHORT_HELP.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The exit codes."""
        del ctx
        with formatter.section("Exit codes"):
            for line in table().splitlines():
                formatter.write(f"{line}\n")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="batchrunner")
def main() -> None:
    """Send a CRM export through the marketing API row by row: every row accounted for, nobody messaged twice."""
