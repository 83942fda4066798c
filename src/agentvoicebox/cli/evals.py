"""`agentvoicebox eval`: record calls, replay them, score them, and report against a baseline.

Defines the commands and their exit codes; the work is in `evals`.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal

import httpx
import msgspec
import typer

from agentvoicebox.agents import Agents
from agentvoicebox.cli.console import console
from agentvoicebox.cli.places import model_cache
from agentvoicebox.client.dialing import CallOptions
from agentvoicebox.clock import SystemClock
from agentvoicebox.errors import ClientError
from agentvoicebox.evals import baseline as baselines
from agentvoicebox.evals import play, report
from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.replay import Replay, replay_all
from agentvoicebox.evals.replay_live import replay_lines, replay_webhook
from agentvoicebox.evals.report_plots import pictures
from agentvoicebox.evals.scenario import Scenario, Tolerance, load
from agentvoicebox.evals.score import Score, score
from agentvoicebox.evals.simulation import Simulation
from agentvoicebox.interactions.day_files import DayFiles, read
from agentvoicebox.interactions.from_log import iso_time
from agentvoicebox.interactions.interaction import Interaction, encode
from agentvoicebox.kits.recording import redactor
from agentvoicebox.kits.registry import kits_of, load_settings
from agentvoicebox.telemetry import logs

app = typer.Typer(help="Record calls, replay them, score them, and compare with a baseline.", no_args_is_help=True)

Recorded = Annotated[Path, typer.Argument(help="A file or a folder of interactions.")]
Scenarios = Annotated[
    Path | None, typer.Option(help="Folder of the scenarios with the expected outcomes; by default those of the kits.")
]
SHOWN = 20  # faults that are printed


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
        bool, typer.Option(help="Record words and complete identifiers, so that every replay is exact.")
    ] = True,
) -> None:
    """Play scenarios and record the interactions, one JSON line a call.

    agentvoicebox eval record

    agentvoicebox eval record scenarios/happy.toml --url http://127.0.0.1:8000/v1
    """
    choice = _choice()
    found = [each for path in scenario or _folders(choice) for each in _load(path, choice)]
    if url:
        left_out = [each.name for each in found if each.backend != backend]
        found = [each for each in found if each.backend == backend]
        for name in left_out:
            console.print(f"left out: {name} needs a backend that is {'down' if backend == 'up' else 'up'}")
        interactions = asyncio.run(_spoken(found, choice, CallOptions(base_url=url, api_key=key), redis_url))
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
    scenarios: Sequence[Scenario], choice: KitChoice, options: CallOptions, redis_url: str
) -> list[Interaction]:
    settings = load_settings()
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
                )
            )
        return interactions
    finally:
        if logs_of is not None:
            await logs_of.close()


@app.command()
def replay(
    recorded: Recorded,
    tools: Annotated[
        Literal["recorded", "live"],
        typer.Option(help="Run tool calls with the recorded answers, or with the kits' backends from the settings."),
    ] = "recorded",
    url: Annotated[str, typer.Option(help="Also type the callers' lines in calls to this server.")] = "",
    key: Annotated[str, typer.Option(help="Bearer key for --url.")] = "local",
    webhook_url: Annotated[str, typer.Option(help="Also POST recorded webhook requests to this address.")] = "",
    header: Annotated[
        list[str] | None, typer.Option(help="Header for --webhook-url: `Name: value`. Repeatable.")
    ] = None,
    scenarios: Scenarios = None,
) -> None:
    """Replay recorded interactions; exit code 1 if an outcome differs.

    In process: the engine's effects, byte for byte, and each tool call. With --url and --webhook-url also against running
    servers, where facts and codes are compared, not the wording.
    """
    interactions = list(read(_existing(recorded)))
    choice = _choice()
    tolerances = {name: each.tolerance for name, each in _by_name(scenarios, choice).items()}
    live = _Live(CallOptions(base_url=url, api_key=key), webhook_url, _headers(header), tolerances)
    replays = asyncio.run(_replayed(interactions, choice, live, has_live_tools=tools == "live"))
    console.print(report.replay_summary(replays) or "nothing to replay")
    different = [each for each in replays if each.verdict == "different"]
    for each in different[:SHOWN]:
        console.print(f"[red]{each.what}[/] {each.scenario or each.call_id}: {each.why}", markup=True)
    reasons = {(each.what, each.why) for each in replays if each.verdict == "impossible"}
    for what, why in sorted(reasons):
        console.print(f"[dim]{what} not replayed: {why}[/]")
    if different:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Live:
    """Running servers to replay against; an empty address means none."""

    options: CallOptions
    webhook_url: str
    headers: dict[str, str]
    tolerances: dict[str, Tolerance]

    def tolerance(self, interaction: Interaction) -> Tolerance:
        return self.tolerances.get(interaction.scenario, Tolerance())


async def _replayed(
    interactions: Sequence[Interaction], choice: KitChoice, live: _Live, *, has_live_tools: bool
) -> list[Replay]:
    async with AsyncExitStack() as stack:
        run_tools = {}
        for kit in choice.kits if has_live_tools else ():
            if (evaluation := choice.of_kit(kit)) is not None:
                run_tools[evaluation.agent] = await stack.enter_async_context(evaluation.live(load_settings()))
        replays = await replay_all(interactions, choice, run_tools=run_tools)
        if live.options.base_url:
            for each in interactions:
                if each.transcript:
                    evaluation = choice.evaluation(each)
                    options = replace(live.options, model=each.agent or evaluation.agent)
                    replays.append(await replay_lines(each, options, live.tolerance(each), evaluation))
        if live.webhook_url:
            client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            for each in interactions:
                if each.request is not None:
                    evaluation, tolerance = choice.evaluation(each), live.tolerance(each)
                    replays.append(
                        await replay_webhook(
                            each, client, live.webhook_url, tolerance, evaluation, headers=live.headers
                        )
                    )
        return replays


@app.command("score")
def score_command(
    recorded: Recorded,
    scenarios: Scenarios = None,
    out: Annotated[Path | None, typer.Option(help="Write the score as JSON.")] = None,
) -> None:
    """Score accuracy, tool success, latency, hallucinations and replays; exit code 1 if a value is never acceptable."""
    _, found, replays = _scored(recorded, scenarios)
    changes = baselines.compare(found, None)
    console.print(report.text(found, changes, replays), markup=False)
    if out is not None:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    if report.regressions(changes):
        raise typer.Exit(1)


@app.command("report")
def report_command(
    recorded: Recorded,
    baseline: Annotated[Path, typer.Option(help="The score to compare with.")] = Path("eval-baseline.json"),
    update_baseline: Annotated[bool, typer.Option("--update-baseline", help="Make this score the baseline.")] = False,
    html: Annotated[Path, typer.Option(help="Write the report as one HTML page.")] = Path("eval-report.html"),
    text: Annotated[Path | None, typer.Option(help="Also write it as text.")] = None,
    scenarios: Scenarios = None,
) -> None:
    """Score, compare with the baseline, and write a report with plots; exit code 1 if a metric regressed.

    agentvoicebox eval report interactions --update-baseline
    """
    interactions, found, replays = _scored(recorded, scenarios)
    before = None if update_baseline and not baseline.exists() else baselines.load(baseline)
    changes = baselines.compare(found, before)
    made = iso_time(SystemClock().wall_s())
    page = report.html(
        found, changes, made=made, baseline=before, replays=replays, pictures=pictures(found, interactions, before)
    )
    html.write_text(page, encoding="utf-8")
    summary = report.text(found, changes, replays)
    if text is not None:
        text.write_text(summary, encoding="utf-8")
    console.print(summary, markup=False)
    console.print(f"wrote {html}")
    if update_baseline:
        baselines.save(found, baseline, made)
        console.print(f"the baseline is now {baseline}")
    # An accepted slowdown is not a regression any more; a value that is never acceptable still is.
    stopping = baselines.compare(found, None) if update_baseline else changes
    if worse := report.regressions(stopping):
        console.print("[bold red]regressed:[/] " + ", ".join(each.partition(":")[0] for each in worse))
        raise typer.Exit(1)


def _scored(recorded: Path, scenarios: Path | None) -> tuple[list[Interaction], Score, list[Replay]]:
    interactions = list(read(_existing(recorded)))
    if not interactions:
        raise ClientError(f"there are no interactions in {recorded}")
    choice = _choice()
    replays = asyncio.run(replay_all(interactions, choice))
    found = score(interactions, scenarios=_by_name(scenarios, choice), choice=choice, replays=replays)
    return interactions, found, replays


def _choice() -> KitChoice:
    return KitChoice(kits_of(load_settings()))


def _folders(choice: KitChoice) -> list[Path]:
    """The kits' scenario folders."""
    return [evaluation.scenarios for kit in choice.kits if (evaluation := choice.of_kit(kit)) is not None]


def _load(path: Path, choice: KitChoice) -> list[Scenario]:
    return load(path, lambda scenario, fact: choice.of_agent(scenario.agent).fact_fault(fact))


def _by_name(folder: Path | None, choice: KitChoice) -> dict[str, Scenario]:
    folders = _folders(choice) if folder is None else [folder]
    return {each.name: each for path in folders for each in _load(path, choice)}


def _existing(path: Path) -> Path:
    if not path.exists():
        raise ClientError(f"there is nothing at {path}; record something with `agentvoicebox eval record`")
    return path


def _headers(given: list[str] | None) -> dict[str, str]:
    headers = {}
    for each in given or []:
        name, colon, value = each.partition(":")
        if not colon:
            raise ClientError(f"{each!r} is not a header; write it like `Authorization: Bearer …`")
        headers[name.strip()] = value.strip()
    return headers


def _wall_s(today: str) -> float:
    if not today:
        return SystemClock().wall_s()
    try:
        day = date.fromisoformat(today)
    except ValueError as error:
        raise ClientError(f"{today!r} is not a day; write it like 2026-11-24") from error
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
