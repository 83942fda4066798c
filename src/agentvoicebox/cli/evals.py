"""`agentvoicebox eval`: record calls, replay them, score them, and report against a baseline.

Defines the commands and their exit codes; the work is in `evals`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from agentvoicebox.agents import Agents
from agentvoicebox.cli.console import Commands, console
from agentvoicebox.cli.eval_inputs import (
    choice_of_settings,
    load_scenarios,
    scenario_folders,
)
from agentvoicebox.cli.eval_replay import replay
from agentvoicebox.cli.eval_report import report_command, score_command
from agentvoicebox.cli.places import model_cache
from agentvoicebox.client.call_record import CallRecord
from agentvoicebox.clock import SystemClock
from agentvoicebox.errors import ClientError
from agentvoicebox.evals import play
from agentvoicebox.evals.call_sound import AUDIO_FOLDER, write_sound
from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.scenario import Scenario
from agentvoicebox.evals.simulation import Simulation
from agentvoicebox.interactions.day_files import DayFiles
from agentvoicebox.interactions.interaction import Interaction, encode
from agentvoicebox.kits.recording import redactor
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.realtime_client.dialing import CallOptions
from agentvoicebox.telemetry import logs

app = typer.Typer(
    cls=Commands, no_args_is_help=True, help="Record calls, replay them, score them, and compare with a baseline."
)


@app.callback()
def quiet() -> None:
    """Record calls, replay them, score them, and compare with a baseline."""
    logs.configure(service="eval", level="warning", format="console")


@app.command()
def record(
    scenario: Annotated[
        list[Path] | None, typer.Argument(help="Scenario files or folders; by default those of the kits.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to which the interactions are added.")] = Path("interactions"),
    url: Annotated[str, typer.Option(help="Call this server; without it, scenarios are simulated without sound.")] = "",
    key: Annotated[str, typer.Option(help="Bearer key for --url.")] = "local",
    redis_url: Annotated[str, typer.Option(help="The server's store, to record the engine's log of each call.")] = "",
    backend: Annotated[
        Literal["up", "down"], typer.Option(help="Whether the tools of the server at --url can answer now.")
    ] = "up",
    today: Annotated[str, typer.Option(help="The day of a simulation, YYYY-MM-DD; by default today.")] = "",
    words: Annotated[
        bool,
        typer.Option(
            help="Record words and complete identifiers, so that every replay is exact; with --url also the audio."
        ),
    ] = True,
) -> None:
    """Play scenarios and record the interactions, one JSON line a call.

    agentvoicebox eval record

    agentvoicebox eval record scenarios/happy.toml --url http://127.0.0.1:8000/v1
    """
    choice = choice_of_settings()
    found = [each for path in scenario or scenario_folders(choice) for each in load_scenarios(path, choice)]
    if url:
        left_out = [each.name for each in found if each.backend != backend]
        found = [each for each in found if each.backend == backend]
        for name in left_out:
            console.print(f"left out: {name} needs a backend that is {'down' if backend == 'up' else 'up'}")
        interactions = asyncio.run(
            _spoken(
                found, choice, CallOptions(base_url=url, api_key=key), redis_url, out / AUDIO_FOLDER if words else None
            )
        )
    else:
        interactions = asyncio.run(_simulated(found, choice, _wall_s(today)))
    files = DayFiles(out)
    for interaction in interactions:
        path = files.append(
            encode(interaction if words else redactor(choice.kits).without_words(interaction)), interaction.began_s
        )
        codes = ", ".join(use.code for use in interaction.tool_calls) or "no tool call"
        console.print(f"{interaction.scenario}: {len(interaction.transcript)} lines, {codes} → {path}")


async def _simulated(scenarios: Sequence[Scenario], choice: KitChoice, wall_s: float) -> list[Interaction]:
    agents = Agents.load(load_settings())
    return [await Simulation(each, agents, choice, wall_s=wall_s).play() for each in scenarios]


async def _spoken(
    scenarios: Sequence[Scenario], choice: KitChoice, options: CallOptions, redis_url: str, audio: Path | None
) -> list[Interaction]:
    settings = load_settings()

    def keep(record: CallRecord) -> None:
        if audio is not None:
            write_sound(record, audio)

    logs_of = play.StoreLogs(redis_url) if redis_url else None
    try:
        interactions = []
        for scenario in scenarios:
            with console.status(f"rendering the caller's voice: {scenario.name}"):
                lines = await asyncio.to_thread(
                    play.lines_of, scenario, models_dir=settings.models_dir, cache_dir=model_cache(settings)
                )
            interactions.append(
                await play.play(
                    scenario,
                    lines,
                    replace(options, model=scenario.agent or choice.of_agent("").agent),
                    log_of=logs_of,
                    judge_of=choice.kits.judge_of,
                    on_record=keep,
                )
            )
        return interactions
    finally:
        if logs_of is not None:
            await logs_of.close()


app.command()(replay)


app.command("score")(score_command)
app.command("report")(report_command)


def _wall_s(today: str) -> float:
    if not today:
        return SystemClock().wall_s()
    try:
        day = date.fromisoformat(today)
    except ValueError as error:
        raise ClientError(f"{today!r} is not a day; write it like 2026-11-24") from error
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
