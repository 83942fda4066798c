"""`agentvoicebox eval replay`: runs recorded interactions again, in process and against running servers.

Decides what is printed, also when the run is interrupted or a server fails, and the exit code.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import httpx
import msgspec
import typer
from rich.markup import escape

from agentvoicebox.cli.console import FAILED, INTERRUPTED, Steps, console
from agentvoicebox.cli.eval_inputs import Recorded, Scenarios, choice_of_settings, existing, scenarios_by_name
from agentvoicebox.errors import ClientError
from agentvoicebox.evals import report
from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.live_run import FAST_LIMIT_S, REAL_TIME_LIMIT_S, LiveRun
from agentvoicebox.evals.replay import Replay, replay_all
from agentvoicebox.evals.scenario import Tolerance
from agentvoicebox.interactions.day_files import read
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.realtime_client.dialing import CallOptions

SHOWN = 20  # differences that are printed


def replay(
    recorded: Recorded,
    tools: Annotated[
        Literal["recorded", "live"],
        typer.Option(help="Run tool calls with the recorded answers, or with the kits' backends from the settings."),
    ] = "recorded",
    url: Annotated[
        str,
        typer.Option(help="Also send the callers' lines in calls to this server, such as http://127.0.0.1:8000/v1."),
    ] = "",
    key: Annotated[str, typer.Option(help="Bearer key for --url.")] = "local",
    fast: Annotated[
        bool,
        typer.Option(
            "--fast/--real-time",
            help="With --url: replies as text only, as fast as the server writes them, or spoken and listened to in real time.",
        ),
    ] = True,
    call_limit_s: Annotated[
        float,
        typer.Option(
            min=0,
            help=f"With --url: seconds that one call may take; 0: {FAST_LIMIT_S:g}, or {REAL_TIME_LIMIT_S:g} in real time.",
        ),
    ] = 0.0,
    webhook_url: Annotated[
        str,
        typer.Option(
            help="Also POST the recorded webhook requests, each to its own route below this address, such as "
            "http://127.0.0.1:8001. An address with another path that does not end in a slash is the complete one of "
            "the voice platform's route (/vapi/webhook)."
        ),
    ] = "",
    header: Annotated[
        list[str] | None, typer.Option(help="Header for --webhook-url: `Name: value`. Repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the result of each replay to this file, one JSON line each.")
    ] = None,
    scenarios: Scenarios = None,
) -> None:
    """Replay recorded interactions; exit code 1 if an outcome differs or a replay failed.

    In process: the engine's effects, byte for byte, and each tool call. With --url and --webhook-url also against running
    servers, where facts and codes are compared, not the wording. Ctrl-C ends at once; what was compared so far is printed.
    """
    interactions = list(read(existing(recorded)))
    choice = choice_of_settings()
    tolerances = {name: each.tolerance for name, each in scenarios_by_name(scenarios, choice).items()}
    targets = _Targets(CallOptions(base_url=url, api_key=key), fast, call_limit_s, webhook_url, _headers(header))
    replays: list[Replay] = []
    try:
        with Steps("replaying in process") as steps:
            asyncio.run(_run(interactions, choice, targets, tolerances, steps, replays, has_live_tools=tools == "live"))
    except KeyboardInterrupt:
        _tell(replays, out)
        console.print("interrupted: the rest was not replayed")
        raise typer.Exit(INTERRUPTED) from None
    except Exception:
        if replays:
            _tell(replays, out)
        raise
    _tell(replays, out)
    if any(each.verdict in ("different", "failed") for each in replays):
        raise typer.Exit(FAILED)


@dataclass(frozen=True)
class _Targets:
    """Running servers to replay against; an empty address means none."""

    call: CallOptions
    is_fast: bool
    call_limit_s: float
    webhook_url: str
    headers: dict[str, str]


async def _run(
    interactions: Sequence[Interaction],
    choice: KitChoice,
    targets: _Targets,
    tolerances: dict[str, Tolerance],
    steps: Steps,
    replays: list[Replay],
    *,
    has_live_tools: bool,
) -> None:
    run = LiveRun(choice, tolerances, on_step=steps.show, replays=replays)
    async with AsyncExitStack() as stack:
        run_tools = {}
        for kit in choice.kits if has_live_tools else ():
            if (evaluation := choice.of_kit(kit)) is not None:
                run_tools[evaluation.agent] = await stack.enter_async_context(evaluation.live(load_settings()))
        await replay_all(interactions, choice, run_tools=run_tools, replays=replays)
        if targets.call.base_url:
            await run.calls(interactions, targets.call, listens=not targets.is_fast, limit_s=targets.call_limit_s)
        if targets.webhook_url:
            client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            await run.requests(interactions, client, targets.webhook_url, targets.headers)


def _tell(replays: Sequence[Replay], out: Path | None) -> None:
    """Print the results, and write them."""
    console.print(report.replay_summary(replays) or "nothing to replay", markup=False)
    different = [each for each in replays if each.verdict == "different"]
    for each in different[:SHOWN]:
        console.print(f"[red]{each.what}[/] {escape(f'{each.scenario or each.call_id}: {each.why}')}")
    if len(different) > SHOWN:
        console.print(f"… and {len(different) - SHOWN} more that differ")
    for verdict, words, style in (("failed", "failed", "red"), ("impossible", "not replayed", "dim")):
        reasons = Counter((each.what, each.why) for each in replays if each.verdict == verdict)
        for (what, why), count in sorted(reasons.items()):
            console.print(f"[{style}]{what} {words}[/] ({count}): {escape(why)}", soft_wrap=True)
    if out is not None:
        out.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in replays))


def _headers(given: list[str] | None) -> dict[str, str]:
    headers = {}
    for each in given or []:
        name, colon, value = each.partition(":")
        if not colon:
            raise ClientError(f"{each!r} is not a header; write it like `Authorization: Bearer …`")
        headers[name.strip()] = value.strip()
    return headers
