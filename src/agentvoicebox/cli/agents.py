"""`agentvoicebox agents` and `agentvoicebox voices`: lists agents and voices."""

from pathlib import Path

import typer
from rich.table import Column, Table

from agentvoicebox.agents import Agents
from agentvoicebox.cli.console import Commands, console
from agentvoicebox.cli.places import catalogue
from agentvoicebox.kits.registry import load_settings

app = typer.Typer(cls=Commands, no_args_is_help=True, help="Agents, which answer calls.")


@app.command("list")
def list_agents() -> None:
    """List all agents. A client sends an agent's name as `model`.

    An agent is a small file (instructions, tools, voice, language model, turn detection) in the folder AVB_AGENTS_DIR.
    """
    settings = load_settings()
    agents = Agents.load(settings)
    table = Table("agent", "language model", "voice", "tools", "turn detection", "file")
    for name, agent in agents.by_name.items():
        detection = agent.turn_detection
        turns = detection if isinstance(detection, str) else detection.get("type", "server_vad")
        own = Path(settings.agents_dir) / f"{name}.toml" if settings.agents_dir else None
        where = str(own) if own and own.is_file() else "built in"
        shown = f"{name} (default)" if name == agents.default.name else name
        table.add_row(shown, agent.language_model, agent.voice, ", ".join(agent.tool_names) or "-", turns, where)
    console.print(table)


def voices() -> None:
    """List all voices for sessions and agent files. OpenAI's names (alloy, …) mean the default voice."""
    table = Table(
        Column("voice", no_wrap=True), "engine", "language", "description", "installed, or command to install"
    )
    for status in catalogue(load_settings()).list_models():
        for voice in status.model.voices:
            here = "yes" if status.folder else f"agentvoicebox models pull {status.model.name}"
            table.add_row(voice.name, voice.engine, voice.language, voice.description, here)
    console.print(table)
