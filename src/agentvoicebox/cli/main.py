"""The `agentvoicebox` program: its commands, and the options before them."""

from typing import Annotated, Any

import typer

from agentvoicebox import __version__
from agentvoicebox.cli.console import Commands
from agentvoicebox.cli.late_commands import LateCommands

HELP = """
A self-hosted voice agent server: OpenAI Realtime protocol, local speech, verified answers.

First steps:

  agentvoicebox doctor          check this machine, and print how to install what is missing

  agentvoicebox demo            make a complete spoken call on this machine, with a recording and a timeline

  agentvoicebox serve           start the server on http://127.0.0.1:8000/v1

  agentvoicebox call --say "Where is my parcel?" --say "P K G zero zero four"

Settings are environment variables that begin with AVB_; README.md lists the most important ones.
"""

PACKAGE = "agentvoicebox.cli"
COMMANDS = {
    "serve": f"{PACKAGE}.serve:serve",
    "call": f"{PACKAGE}.call:call",
    "demo": f"{PACKAGE}.demo:demo",
    "doctor": f"{PACKAGE}.doctor:doctor",
    "health": f"{PACKAGE}.health:health",
    "tls": f"{PACKAGE}.tls:tls",
    "models": f"{PACKAGE}.models:app",
    "agents": f"{PACKAGE}.agents:app",
    "voices": f"{PACKAGE}.agents:voices",
    "keys": f"{PACKAGE}.keys:app",
    "tenants": f"{PACKAGE}.tenants:app",
    "policy": f"{PACKAGE}.policy:app",
    "database": f"{PACKAGE}.backups:app",
    "records": f"{PACKAGE}.records:app",
    "events": f"{PACKAGE}.events:app",
    "eval": f"{PACKAGE}.evals:app",
}


class Program(Commands):
    """The root of the command line."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LateCommands(COMMANDS, self.commands)


app = typer.Typer(
    cls=Program,
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # locals may contain keys
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options before a command."""


@app.command("version")
def show_version() -> None:
    """Print the version."""
    typer.echo(__version__)


if __name__ == "__main__":
    app()
