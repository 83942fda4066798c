"""What the commands of `agentvoicebox eval` read: interactions, kits and scenarios."""

from pathlib import Path
from typing import Annotated

import typer

from agentvoicebox.errors import ClientError
from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.scenario import Scenario, load
from agentvoicebox.kits.registry import kits_of, load_settings

Recorded = Annotated[Path, typer.Argument(help="A file or a folder of interactions.")]
Scenarios = Annotated[
    Path | None, typer.Option(help="Folder of the scenarios with the expected outcomes; by default those of the kits.")
]


def choice_of_settings() -> KitChoice:
    """The kits of AVB_KITS."""
    return KitChoice(kits_of(load_settings()))


def scenario_folders(choice: KitChoice) -> list[Path]:
    """The kits' scenario folders."""
    return [evaluation.scenarios for kit in choice.kits if (evaluation := choice.of_kit(kit)) is not None]


def load_scenarios(path: Path, choice: KitChoice) -> list[Scenario]:
    """The scenarios of a file or folder. Raises BadScenario."""
    return load(path, lambda scenario, fact: choice.of_agent(scenario.agent).fact_fault(fact))


def scenarios_by_name(folder: Path | None, choice: KitChoice) -> dict[str, Scenario]:
    """The scenarios of a folder, or of the kits, by name."""
    folders = scenario_folders(choice) if folder is None else [folder]
    return {each.name: each for path in folders for each in load_scenarios(path, choice)}


def existing(path: Path) -> Path:
    """The path. Raises ClientError if nothing is there."""
    if not path.exists():
        raise ClientError(f"there is nothing at {path}; record something with `agentvoicebox eval record`")
    return path
