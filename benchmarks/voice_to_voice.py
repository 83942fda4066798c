"""How long a caller waits: from the last voiced sample to the first audio of the answer, part by part, on the real server.

    python benchmarks/voice_to_voice.py [--callers 1] [--calls 30] [--json FILE] [--picture FILE] [--url URL]

Each call speaks two lines in real time through a socket, as a person would, and hears the answers. With several callers
they talk at once, each on a line of its own; all of them share this process, whose own lateness is part of the figure.
The second line asks for another parcel in each call, so that its answer is rarely one that was spoken before; the first
answer is always the same phrase, as on a real line. Callers begin anywhere within the length of a call, so that they don't all
speak at once and then none. A call that the server refuses is counted, and its caller tries again. Prints one JSON object and a
table.
"""

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from agentvoicebox.cli.local_server import local_server
from agentvoicebox.cli.places import share_models
from agentvoicebox.client.call_record import LINE, PARTS, CallTurn
from agentvoicebox.client.call_report import hidden_ms
from agentvoicebox.client.caller import open_call
from agentvoicebox.client.caller_voice import speak_lines
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.providers.processor import this_processor
from agentvoicebox.realtime_client.dialing import CallOptions

OPENING = "Hi, can you tell me where my parcel is?"
NUMBERS = range(1, 21)  # PKG001 to PKG020, one in every state
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
CALL_S = 15.0  # a call lasts about as long: callers begin within it
AGAIN_S = 2.0  # after a refusal
MOST_REFUSALS = 20  # of one caller in a row; then he gives up
HEARD_S = 0.6  # of the last answer, before hanging up
MODELS = Path("var/models").resolve()  # prepared voices are kept where `serve` keeps them


async def call(url: str, lines: Sequence[SpokenLine]) -> tuple[list[CallTurn], float]:
    """One call: its turns, and the ms by which audio came too late to be played without a gap."""
    async with open_call(CallOptions(url)) as line:
        for spoken in lines[:-1]:
            await line.say(spoken)
        line.start_saying(lines[-1])
        await line.wait_until_heard(HEARD_S)
        record = line.record()
    return record.turns, record.gap_ms


class Measured(NamedTuple):
    """What callers noticed.

    Attributes:
        gaps_ms: by which audio came too late to be played without a gap, all together.
        refused: tries that the server refused, or that failed.
    """

    turns: list[CallTurn]
    gaps_ms: float
    refused: int


async def all_calls(url: str, lines: Sequence[SpokenLine], *, callers: int, calls: int) -> Measured:
    """`calls` calls, `callers` at a time; `lines` are the opening and the numbers."""
    opening, *numbers = lines
    waiting = iter(range(calls))
    chance = random.Random(0)
    turns: list[CallTurn] = []
    gaps_ms, refused = 0.0, 0

    async def let_in(number: int) -> tuple[list[CallTurn], float]:
        nonlocal refused
        for _ in range(MOST_REFUSALS):
            try:
                return await call(url, [opening, numbers[number % len(numbers)]])
            except AgentVoiceBoxError:  # refused, or it failed
                refused += 1
                print("x", end="", file=sys.stderr, flush=True)
                await asyncio.sleep(AGAIN_S)
        return [], 0.0

    async def keep_calling(delay_s: float) -> None:
        nonlocal gaps_ms
        await asyncio.sleep(delay_s)
        for number in waiting:
            made, gap_ms = await let_in(number)
            turns.extend(made)
            gaps_ms += gap_ms
            print(".", end="", file=sys.stderr, flush=True)

    await call(url, [opening, numbers[-1]])  # the first one warms everything up
    await asyncio.gather(*(keep_calling(chance.uniform(0, CALL_S if callers > 1 else 0)) for _ in range(callers)))
    print(file=sys.stderr)
    return Measured(turns, gaps_ms, refused)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and greatest of some milliseconds."""
    if not values:
        return {}
    p50, p95 = np.percentile(values, [50, 95])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1), "max": round(max(values), 1)}


def figures(measured: Measured, *, callers: int, calls: int) -> dict[str, Any]:
    """Everything measured, as one JSON-able object."""
    turns = measured.turns
    answered = [turn for turn in turns if turn.voice_to_voice_ms is not None]
    accounted = [turn for turn in answered if turn.account is not None]
    return {
        "benchmark": "voice_to_voice",
        "processor": str(this_processor()),
        "callers": callers,
        "calls": calls,
        "turns": len(turns),
        "unanswered": len(turns) - len(answered),
        "refused": measured.refused,
        "answered_too_early": sum(turn.early_answers for turn in turns),
        "cut_off_share": round(sum(turn.early_answers > 0 for turn in turns) / max(1, len(turns)), 3),
        "gaps_in_speech_ms": round(measured.gaps_ms, 1),
        "first_audio_after_last_sample_ms": spread([turn.voice_to_voice_ms or 0.0 for turn in answered]),
        "first_audio_after_decision_ms": spread([t.account.after_decision_ms for t in accounted if t.account]),
        "parts_ms": {name: spread([turn.parts_ms()[name] for turn in accounted]) for name in (*PARTS, LINE)},
        "done_meanwhile_ms": {
            name: spread([hidden_ms(turn)[name] for turn in accounted if name in hidden_ms(turn)]) for name in PARTS
        },
    }


def show(result: dict[str, Any]) -> None:
    """The table, for people."""
    title = f"Voice to voice: {result['calls']} calls, {result['callers']} at once, {result['turns']} turns (ms)"
    table = Table("", "p50", "p95", "max", title=title, title_justify="left")
    rows = {
        "first audio after the caller's last sample": result["first_audio_after_last_sample_ms"],
        "first audio after the decision": result["first_audio_after_decision_ms"],
        **{f"  {name}": row for name, row in result["parts_ms"].items()},
        **{f"  {name}, concurrent": row for name, row in result["done_meanwhile_ms"].items() if row},
    }
    for name, row in rows.items():
        table.add_row(name, *(f"{row[key]:.1f}" if row else "" for key in ("p50", "p95", "max")))
    Console(stderr=True).print(table)


def draw(turns: Sequence[CallTurn], path: Path) -> None:
    """Left: how many turns were answered within which time. Right: where the time went, turn by turn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from agentvoicebox.client.timeline import LOOKS

    told = sorted((t for t in turns if t.account and t.parts_ms()), key=lambda turn: turn.voice_to_voice_ms or 0.0)
    figure = Figure(figsize=(13, 5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=[2, 3])
    share = (np.arange(len(told)) + 1) / max(1, len(told)) * 100
    after = sorted(turn.account.after_decision_ms for turn in told if turn.account)
    for values, colour, name in (
        ([turn.voice_to_voice_ms or 0.0 for turn in told], "#0072B2", "after the caller's last sample"),
        (after, "#D55E00", "after the decision that the turn is over"),
    ):
        left.step(values, share, color=colour, where="post", label=name)
    for percent in (50, 95):
        left.axhline(percent, color="#8a8a8a", linewidth=0.6, linestyle=":")
    left.set(xlabel="ms to the first audio", ylabel="% of turns answered", ylim=(0, 101), xlim=(0, None))
    left.legend(frameon=False, loc="lower right")
    floor = np.zeros(len(told))
    for name in (*PARTS, LINE):
        heights = np.array([max(0.0, turn.parts_ms()[name]) for turn in told])
        colour, hatch = LOOKS[name]
        right.bar(np.arange(len(told)), heights, bottom=floor, color=colour, hatch=hatch, edgecolor="white",
                  linewidth=0.3, width=1.0, label=name)  # fmt: skip
        floor += heights
    right.set(xlabel="turns, fastest first", ylabel="ms from the last sample to the first audio", xlim=(-0.5, None))
    right.legend(frameon=False, loc="upper left", ncols=2)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


async def measure(url: str, *, callers: int, calls: int) -> Measured:
    """Against a server of our own, unless `url` names one."""
    texts = [OPENING, *(f"It's P, K, G, {', '.join(DIGITS[int(digit)] for digit in f'{n:03}')}." for n in NUMBERS)]
    lines = await asyncio.to_thread(speak_lines, texts, cache_dir=MODELS)
    async with contextlib.AsyncExitStack() as stack:
        if not url:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avb-bench-")))
            share_models(MODELS, folder)
            url = (await stack.enter_async_context(local_server(folder))).url
        return await all_calls(url, lines, callers=callers, calls=calls)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--callers", type=int, default=1, help="calls at the same time")
    parser.add_argument("--calls", type=int, default=30, help="calls in all")
    parser.add_argument("--url", default="", help="an OpenAI base URL; our own server is started when it is left out")
    parser.add_argument("--json", type=Path, help="also write the JSON to this file")
    parser.add_argument("--picture", type=Path, help="draw the turns (.png or .svg)")
    options = parser.parse_args()
    MODELS.mkdir(parents=True, exist_ok=True)
    measured = asyncio.run(measure(options.url, callers=options.callers, calls=options.calls))
    result = figures(measured, callers=options.callers, calls=options.calls)
    show(result)
    told = json.dumps(result, indent=2)
    print(told)
    if options.json:
        options.json.write_text(told + "\n")
    if options.picture:
        draw(measured.turns, options.picture)


if __name__ == "__main__":
    main()
