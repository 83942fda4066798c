"""Kill -9 of everything, one after the other, under live spoken calls: gateways, each other role, Valkey, PostgreSQL.

    python benchmarks/chaos.py [--kills 25] [--callers 3] [--seed 4] [--json FILE] [--picture FILE]        (make chaos KILLS=100)

A whole cluster of real processes (3 gateways, 2 of each worker, Valkey with its append-only file, PostgreSQL, a balancer) with
real speech recognition and synthesis and the built-in dialogue. Each call speaks three lines and hears three answers, and asks
for every item before it hangs up. The next kill comes at a random moment once what was killed is there again.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))  # the cluster lives with the tests

from tests.kit.cluster import cluster
from tests.kit.kill_run import KillRun, KillSummary, jitter_ms, run_kills, summaries

from agentvoicebox.client.caller_voice import speak_lines

MODELS = Path("var/models").resolve()  # prepared voices are kept where `serve` keeps them
SCRIPT = ("Where is my parcel?", "It's P, K, G, zero, zero, four.", "Yes, that's right.")
WANTED_PAUSE_MS = 1_000.0


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and greatest of some milliseconds."""
    if not values:
        return {}
    return {name: round(float(np.percentile(values, p)), 1) for name, p in (("p50", 50), ("p95", 95), ("max", 100))}


def figures(havoc: KillRun, rows: Sequence[KillSummary], *, seed: int) -> dict[str, Any]:
    """Everything measured, as one JSON-able object."""
    items = {item for call in havoc.calls for item in call.items}
    assert havoc.recorded is not None, "ask once the run is over"
    told: dict[str, Any] = {
        "benchmark": "chaos",
        "cores": os.cpu_count(),
        "seed": seed,
        "kills": len(rows),
        "kills_survived_by_all": sum(row.resumed == row.calls for row in rows),
        "calls": len(havoc.calls),
        "calls_lost": [call.lost for call in havoc.calls if call.lost],
        "answers": sum(len(call.answers) for call in havoc.calls),
        "answers_unfinished": sum(call.unfinished for call in havoc.calls),
        "items": len(items),
        "items_lost": sum(call.items_lost for call in havoc.calls),
        "items_not_recorded": len(items) - havoc.recorded,
        "events_doubled": sum(call.doubled for call in havoc.calls),
        "events_missed": sum(call.missed for call in havoc.calls),
        "line_back_ms": spread([row.back_ms for row in rows if row.back_ms]),
        "extra_silence_ms": spread([row.heard_ms for row in rows if row.calls]),
        "audio_missing_ms": round(max((row.missing_ms for row in rows), default=0.0), 1),
        "audio_repeated_ms": round(max((row.repeated_ms for row in rows), default=0.0), 1),
        "undisturbed_silence_ms": spread(jitter_ms(havoc)),
        "rows": [
            {
                "killed": row.kill.victim,
                "at_s": round(row.kill.at_s - havoc.kills[0].at_s, 2),
                "calls": row.calls,
                "resumed": row.resumed,
                "line_back_ms": round(row.back_ms, 1),
                "extra_silence_ms": round(row.heard_ms, 1),
            }
            for row in rows
        ],
        "by_victim": {},
    }
    for victim in sorted({row.kill.victim for row in rows}):
        mine = [row for row in rows if row.kill.victim == victim]
        told["by_victim"][victim] = {
            "kills": len(mine),
            "calls": sum(row.calls for row in mine),
            "resumed": sum(row.resumed for row in mine),
            "line_back_ms": spread([row.back_ms for row in mine if row.back_ms]),
            "extra_silence_ms": spread([row.heard_ms for row in mine if row.calls]),
            "audio_missing_ms": round(max(row.missing_ms for row in mine), 1),
            "audio_repeated_ms": round(max(row.repeated_ms for row in mine), 1),
            "other_samples": max(row.other_samples for row in mine),
            "back_after_s": round(float(np.median([row.kill.healed_s - row.kill.at_s for row in mine])), 2),
        }
    return told


def show(told: dict[str, Any]) -> None:
    """The tables, for people."""

    def three(values: dict[str, float]) -> str:
        return " · ".join(f"{each:.0f}" for each in values.values())

    title = f"kill -9 under live spoken calls: {told['kills']} kills, {told['calls']} calls, {told['answers']} answers"
    table = Table(
        *("killed", "kills", "calls resumed", "line back, ms", "extra silence, ms", "audio missing · repeated, ms"),
        title=title,
        caption="p50 · p95 · max",
        title_justify="left",
    )
    for victim, row in told["by_victim"].items():
        table.add_row(
            victim,
            str(row["kills"]),
            f"{row['resumed']} of {row['calls']}",
            three(row["line_back_ms"]),
            three(row["extra_silence_ms"]),
            f"{row['audio_missing_ms']:.0f} · {row['audio_repeated_ms']:.0f}",
        )
    survived = f"{told['kills_survived_by_all']} of {told['kills']}"
    table.add_row("all", str(told["kills"]), survived, three(told["line_back_ms"]), three(told["extra_silence_ms"]), "")
    table.add_row("(none: answers between kills)", "", "", "", three(told["undisturbed_silence_ms"]), "")
    console = Console(stderr=True)
    console.print(table)
    console.print(
        f"items lost {told['items_lost']} of {told['items']} (not recorded: {told['items_not_recorded']}), "
        f"events doubled {told['events_doubled']}, missed {told['events_missed']}, "
        f"answers without an end {told['answers_unfinished']}"
    )


def draw(rows: Sequence[KillSummary], path: Path) -> None:
    """Left: each kill and the longest silence it cost anyone. Right: how many kills cost no more than that."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8a8a8a")
    figure = Figure(figsize=(13, 5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    begin_s = rows[0].kill.at_s
    for colour, victim in zip(colours, sorted({row.kill.victim for row in rows}), strict=False):
        mine = [row for row in rows if row.kill.victim == victim]
        at_s = [row.kill.at_s - begin_s for row in mine]
        left.scatter(at_s, [row.heard_ms for row in mine], color=colour, label=victim, s=28)
        lost = [row for row in mine if row.resumed < row.calls]
        left.scatter(
            [row.kill.at_s - begin_s for row in lost], [row.heard_ms for row in lost], marker="x", color="red", s=90
        )
    left.axhline(WANTED_PAUSE_MS, color="#8a8a8a", linewidth=0.8, linestyle=":")
    left.set(xlabel="s since the first kill (a red cross: a call was lost)", ylabel="longest extra silence heard, ms")
    left.legend(frameon=False, ncols=2)
    share = (np.arange(len(rows)) + 1) / len(rows) * 100
    right.step(sorted(row.heard_ms for row in rows), share, where="post", color="#0072B2", label="extra silence heard")
    back = sorted(row.back_ms for row in rows if row.back_ms)
    if back:
        of_back = (np.arange(len(back)) + 1) / len(back) * 100
        right.step(back, of_back, where="post", color="#D55E00", label="line back at another gateway")
    right.axvline(WANTED_PAUSE_MS, color="#8a8a8a", linewidth=0.8, linestyle=":")
    right.axhline(95, color="#8a8a8a", linewidth=0.8, linestyle=":")
    right.set(xlabel="ms", ylabel="% of kills", ylim=(0, 101), xlim=(0, None))
    right.legend(frameon=False, loc="lower right")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


async def run(kills: int, callers: int, seed: int) -> KillRun:
    """Start everything, kill, stop everything."""
    lines = await asyncio.to_thread(speak_lines, SCRIPT, cache_dir=MODELS)
    with tempfile.TemporaryDirectory(prefix="avb-chaos-") as folder:
        async with cluster(Path(folder), models_cache=MODELS) as made:
            return await run_kills(made, lines, kills=kills, callers=callers, seed=seed)


def main() -> None:
    """Kill, measure and print."""
    parser = argparse.ArgumentParser(description="Kill -9 of everything under live spoken calls.")
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--callers", type=int, default=3, help="calls at a time")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    parser.add_argument("--picture", type=Path, help="draw the kills (.png or .svg)")
    options = parser.parse_args()
    havoc = uvloop.run(run(options.kills, options.callers, options.seed))
    rows = summaries(havoc)
    result = figures(havoc, rows, seed=options.seed)
    told = json.dumps(result)
    print(told)
    if options.json:
        options.json.write_text(told + "\n")
    if options.picture:
        draw(rows, options.picture)
    show(result)


if __name__ == "__main__":
    main()
