"""`agentvoicebox eval score` and `eval report`: numbers, their comparison with a baseline, and a page to open.

Decides the exit codes and where audio is looked for.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from agentvoicebox.cli.console import console
from agentvoicebox.cli.database import on_database
from agentvoicebox.cli.eval_inputs import Recorded, Scenarios, choice_of_settings, existing, scenarios_by_name
from agentvoicebox.clock import SystemClock
from agentvoicebox.errors import ClientError
from agentvoicebox.evals import baseline as baselines
from agentvoicebox.evals import report
from agentvoicebox.evals.call_review import CallReview, review, worst
from agentvoicebox.evals.call_sound import AUDIO_FOLDER, CallSound, SoundBudget, sounds_in
from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.replay import Replay, replay_all
from agentvoicebox.evals.report_figures import figures
from agentvoicebox.evals.report_page import page
from agentvoicebox.evals.score import Score, score
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.interactions.day_files import read
from agentvoicebox.interactions.from_log import iso_time
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.storage.call_audio import CallAudioReader
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.vault import Vault

USUAL_BASELINE = Path("eval-baseline.json")
MOST_WORST = 100


def score_command(
    recorded: Recorded,
    scenarios: Scenarios = None,
    out: Annotated[Path | None, typer.Option(help="Write the score as JSON.")] = None,
) -> None:
    """Score accuracy, tool success, latency, hallucinations, promises, replays; exit code 1 if a value is never acceptable."""
    _, _, found, replays, _ = _scored(recorded, scenarios)
    changes = baselines.compare(found, None)
    console.print(report.text(found, changes, replays), markup=False)
    if out is not None:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    if report.regressions(changes):
        raise typer.Exit(1)


def report_command(
    recorded: Recorded,
    baseline: Annotated[
        Path | None,
        typer.Option(
            help=f"The score to compare with; by default {USUAL_BASELINE}, if it is there.", show_default=False
        ),
    ] = None,
    update_baseline: Annotated[bool, typer.Option("--update-baseline", help="Make this score the baseline.")] = False,
    html: Annotated[Path, typer.Option(help="Write the report as one HTML page.")] = Path("eval-report.html"),
    text: Annotated[Path | None, typer.Option(help="Also write it as text.")] = None,
    most_worst: Annotated[
        int,
        typer.Option("--worst", min=0, max=MOST_WORST, help="How many of the worst calls are shown with their words."),
    ] = 10,
    audio: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the audio of calls, in files named after their sessions (sess_….ogg, .wav, .mp3); by default "
            f"the folder {AUDIO_FOLDER} beside the interactions."
        ),
    ] = None,
    database: Annotated[
        bool,
        typer.Option(
            "--database", help="Also take the audio that is stored with the calls' records (AVB_POSTGRES_URL)."
        ),
    ] = False,
    scenarios: Scenarios = None,
) -> None:
    """Score, compare with the baseline, and write a page with plots and the worst calls; exit code 1 if a metric regressed.

    agentvoicebox eval report interactions --update-baseline
    """
    interactions, choice, found, replays, names = _scored(recorded, scenarios)
    target = baseline or USUAL_BASELINE
    is_without = not target.exists() and (update_baseline or baseline is None)
    before = None if is_without else baselines.load(target)
    changes = baselines.compare(found, before)
    made = iso_time(SystemClock().wall_s())
    reviews = review(interactions, found, choice, names)
    shown = worst(reviews, most_worst)
    whole = page(
        found,
        changes,
        made=made,
        baseline=before,
        replays=replays,
        figures=figures(reviews, interactions, before),
        worst=shown,
        sounds=_sounds(shown, _audio_folder(recorded, audio), is_stored=database),
    )
    html.write_text(whole, encoding="utf-8")
    summary = report.text(found, changes, replays)
    if text is not None:
        text.write_text(summary, encoding="utf-8")
    console.print(summary, markup=False)
    console.print(f"wrote {html}")
    if update_baseline:
        baselines.save(found, target, made)
        console.print(f"the baseline is now {target}")
    # An accepted slowdown is not a regression any more; a value that is never acceptable still is.
    stopping = baselines.compare(found, None) if update_baseline else changes
    if worse := report.regressions(stopping):
        console.print("[bold red]regressed:[/] " + ", ".join(each.partition(":")[0] for each in worse))
        raise typer.Exit(1)


def _scored(
    recorded: Path, scenarios: Path | None
) -> tuple[list[Interaction], KitChoice, Score, list[Replay], set[str]]:
    interactions = list(read(existing(recorded)))
    if not interactions:
        raise ClientError(f"there are no interactions in {recorded}")
    choice = choice_of_settings()
    replays = asyncio.run(replay_all(interactions, choice))
    by_name = scenarios_by_name(scenarios, choice)
    found = score(interactions, scenarios=by_name, choice=choice, replays=replays)
    return interactions, choice, found, replays, set(by_name)


def _audio_folder(recorded: Path, given: Path | None) -> Path | None:
    """The folder with the audio of calls; None if there is none. Raises ClientError if the given one is missing."""
    if given is not None and not given.is_dir():
        raise ClientError(f"there is no folder {given}")
    usual = (recorded if recorded.is_dir() else recorded.parent) / AUDIO_FOLDER
    return given or (usual if usual.is_dir() else None)


def _sounds(reviews: Sequence[CallReview], folder: Path | None, *, is_stored: bool) -> dict[str, CallSound]:
    """The audio of calls, by call id: from the folder, else from the database."""
    budget = SoundBudget()
    wanted = {each.interaction.call_id: each.interaction.tenant_id or DEFAULT_TENANT for each in reviews}
    found = sounds_in(folder, wanted, budget) if folder is not None else {}
    rest = {call_id: tenant for call_id, tenant in wanted.items() if call_id not in found}
    return found | on_database(lambda postgres: _stored(postgres, rest, budget)) if is_stored and rest else found


async def _stored(postgres: Postgres, tenants: dict[str, str], budget: SoundBudget) -> dict[str, CallSound]:
    reader = CallAudioReader(postgres, Vault(load_settings().history_key_list))
    found = {}
    for call_id, tenant in tenants.items():
        data = b"".join([piece async for piece in reader.pieces(tenant, call_id)])
        if data:
            found[call_id] = budget.sound(data, ".ogg", f"GET /v1/realtime/sessions/{call_id}/audio")
    return found
