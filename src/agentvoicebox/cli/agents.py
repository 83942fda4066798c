"""`agentvoicebox agents` and `agentvoicebox voices`: lists agents and voices."""

from pathlib import Path

import typer
from rich.table import Column
from rich.text import Text

from agentvoicebox.agents import Agent, Agents
from agentvoicebox.cli.console import Commands, console, table
from agentvoicebox.cli.places import catalogue
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.settings import Settings

app = typer.Typer(cls=Commands, no_args_is_help=True, help="Agents, which answer calls.")

LABEL_WIDTH = 18


@app.command("list")
def list_agents() -> None:
    """List all agents. A client sends an agent's name as `model`.

    An agent is a small file (instructions, tools, voice, language model, turn detection) in the folder AVB_AGENTS_DIR.
    """
    settings = load_settings()
    agents = Agents.load(settings)
    for name, agent in agents.by_name.items():
        console.print(Text(f"{name} (default)" if name == agents.default.name else name, style="bold"))
        if reason := agents.unavailable.get(name):
            _line("not offered", reason, style="yellow")
        for label, value in _facts(agent, settings):
            _line(label, value)


def _facts(agent: Agent, settings: Settings) -> list[tuple[str, str]]:
    detection = agent.turn_detection
    own = Path(settings.agents_dir) / f"{agent.name}.toml" if settings.agents_dir else None
    return [
        ("language model", agent.language_model),
        ("voice", agent.voice),
        ("tools", ", ".join(agent.tool_names) or "none"),
        ("turn detection", detection if isinstance(detection, str) else detection.get("type", "server_vad")),
        ("file", str(own) if own and own.is_file() else "built in"),
    ]


def _line(label: str, value: str, style: str = "") -> None:
    """The terminal breaks long lines, so that paths can be copied."""
    console.print(Text.assemble(f"  {label:<{LABEL_WIDTH}}", (value, style)), soft_wrap=True)


def voices() -> None:
    """List all voices for sessions and agent files. OpenAI's names (alloy, …) mean the default voice."""
    shown = table(Column("voice", no_wrap=True), "engine", "language", "description", "installed, or how to install")
    for status in catalogue(load_settings()).list_models():
        for voice in status.model.voices:
            here = "yes" if status.folder else f"agentvoicebox models pull {status.model.name}"
            shown.add_row(voice.name, voice.engine, voice.language, voice.description, here)
    console.print(shown)
