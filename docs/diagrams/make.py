"""Draws the engine's state machines from their tables, as Mermaid in Markdown: `python docs/diagrams/make.py`.

`tests/unit/test_engine_machines.py` compares the files with the tables.
"""

from pathlib import Path
from typing import Any

from agentvoicebox.engine.machine import Machine
from agentvoicebox.engine.machines import MACHINES

FOLDER = Path(__file__).parent


def page(machine: Machine[Any, Any]) -> str:
    """The Markdown page of a machine: one arrow for each pair of phases, labelled with its events."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (phase, event), following in machine.transitions.items():
        arrows.setdefault((phase, following), []).append(event)
    lines = [f"    [*] --> {phase}" for phase in machine.initial]
    lines += [f"    {phase} --> {following}: {', '.join(events)}" for (phase, following), events in arrows.items()]
    lines += [f"    {phase} --> [*]" for phase in machine.final]
    title = machine.name.replace("_", " ").capitalize()
    made_by = "Made by `docs/diagrams/make.py` from the table in the code. Do not edit."
    return "\n".join([f"# {title}", "", made_by, "", "```mermaid", "stateDiagram-v2", *lines, "```", ""])


def path_of(machine: Machine[Any, Any]) -> Path:
    """The file of a machine's page."""
    return FOLDER / f"{machine.name}.md"


if __name__ == "__main__":
    for each in MACHINES:
        path_of(each).write_text(page(each))
