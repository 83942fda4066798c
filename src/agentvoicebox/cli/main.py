"""The `agentvoicebox` program: registers the commands."""

import typer

from agentvoicebox.cli import agents, call, demo, doctor, evals, keys, models, policy, records, serve, tenants, tls
from agentvoicebox.cli.console import Commands

HELP = """
A self-hosted voice agent server: OpenAI Realtime protocol, local speech, verified answers.

First steps:

  agentvoicebox doctor          check this machine, and print how to install what is missing

  agentvoicebox demo            make a complete spoken call on this machine, with a recording and a timeline

  agentvoicebox serve           start the server on http://127.0.0.1:8000/v1

  agentvoicebox call --say "Where is my parcel?" --say "P K G zero zero four"

Settings are environment variables that begin with AVB_; README.md lists the most important ones.
"""

app = typer.Typer(
    cls=Commands,
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # locals may contain keys
)
app.command()(serve.serve)
app.command()(call.call)
app.command()(demo.demo)
app.command()(doctor.doctor)
app.command()(tls.tls)
app.add_typer(models.app, name="models")
app.add_typer(agents.app, name="agents")
app.add_typer(keys.app, name="keys")
app.add_typer(tenants.app, name="tenants")
app.add_typer(policy.app, name="policy")
app.add_typer(records.app, name="records")
app.add_typer(evals.app, name="eval")
app.command()(agents.voices)


@app.command()
def version() -> None:
    """Print the version."""
    from agentvoicebox import __version__

    typer.echo(__version__)


if __name__ == "__main__":
    app()
