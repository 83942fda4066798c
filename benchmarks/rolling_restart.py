"""All three gateways restarted, one after the other, under live calls: who loses anything?

    python benchmarks/rolling_restart.py [--ours 30] [--stock 20] [--spoken 10] [--json FILE]

A whole cluster of real processes (3 gateways, 2 of each worker, Valkey, PostgreSQL, a balancer) whose speech engines answer at
once. Our callers come back when their gateway hands them over; all of them stream audio all the while, `--spoken` of them speak
and the rest type. Fifty calls and their callers need two cores to themselves; on less nothing keeps time, and answers are missed
for that alone. Stock clients are the official `openai` package: they must never be cut in mid-answer, and dial anew.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))  # the cluster lives with the tests

from tests.kit.cluster import SCRIPTED, cluster
from tests.kit.rolling_restart import RestartReport, rolling_restart

from agentvoicebox.client.caller_voice import speak_lines

MODELS = Path("var/models").resolve()  # prepared voices are kept where `serve` keeps them
LINE = "Where is my parcel?"


def figures(told: RestartReport) -> dict[str, Any]:
    """Everything measured, as one JSON-able object."""
    pauses = [pause * 1000 for each in told.ours for pause in each.pauses_s]
    return {
        "benchmark": "rolling_restart",
        "cores": os.cpu_count(),
        "gateways": len(told.drains_s),
        "drain_s": [round(each, 2) for each in told.drains_s],
        "total_s": round(told.total_s, 2),
        "ours": {
            "calls": len(told.ours),
            "lost": [each.lost for each in told.ours if each.lost],
            "turns": sum(each.turns for each in told.ours),
            "handed_over": len(pauses),
            "pause_ms": {f"p{p}": round(float(np.percentile(pauses, p)), 1) for p in (50, 95, 100)} if pauses else {},
            "items": sum(each.items for each in told.ours),
            "items_lost": sum(each.items_lost for each in told.ours),
            "events_doubled": sum(each.doubled for each in told.ours),
            "gap_ms": round(sum(each.gap_ms for each in told.ours), 1),
        },
        "stock": {
            "clients": len(told.stock),
            "turns": sum(each.turns for each in told.stock),
            "closes": {
                code: sum(each.closes.count(code) for each in told.stock) for code in (1001, 1006, 1011, 1012, 1013)
            },
            "cut_in_mid_answer": sum(each.cuts for each in told.stock),
            "refused": sum(each.refusals for each in told.stock),
        },
    }


def show(result: dict[str, Any]) -> None:
    """The table, for people."""
    ours, stock = result["ours"], result["stock"]
    table = Table("", "ours", "stock", title=f"Rolling restart of {result['gateways']} gateways", title_justify="left")
    table.add_row("calls", str(ours["calls"]), str(stock["clients"]))
    table.add_row("answers meanwhile", str(ours["turns"]), str(stock["turns"]))
    table.add_row("handed over / closed cleanly", str(ours["handed_over"]), str(stock["closes"][1001]))
    table.add_row("calls lost / cut in mid-answer", str(len(ours["lost"])), str(stock["cut_in_mid_answer"]))
    table.add_row("items lost", f"{ours['items_lost']} of {ours['items']}", "")
    table.add_row("events doubled", str(ours["events_doubled"]), "")
    table.add_row("pause p50 · p95 · max, ms", " · ".join(f"{each:.0f}" for each in ours["pause_ms"].values()), "")
    console = Console(stderr=True)
    console.print(table)
    drains = ", ".join(f"{each:.1f}" for each in result["drain_s"])
    console.print(
        f"each gateway gone after {drains} s (30 allowed); all three new ones ready after {result['total_s']:.1f} s"
    )


async def run(ours: int, stock: int, spoken: int) -> dict[str, Any]:
    """Start everything, restart the gateways, stop everything."""
    (line,) = await asyncio.to_thread(speak_lines, [LINE], cache_dir=MODELS)
    with tempfile.TemporaryDirectory(prefix="avb-rolling-") as folder:
        async with cluster(Path(folder), settings={**SCRIPTED, "AVB_MAX_CALLS": "100"}) as made:
            lines = [line if number < spoken else None for number in range(ours)]
            return figures(await rolling_restart(made, lines, stock))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="A rolling restart under live calls.")
    parser.add_argument("--ours", type=int, default=30, help="calls by our client")
    parser.add_argument("--stock", type=int, default=20, help="calls by the official openai client")
    parser.add_argument("--spoken", type=int, default=10, help="of our calls, those that speak")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    options = parser.parse_args()
    result = uvloop.run(run(options.ours, options.stock, options.spoken))
    told = json.dumps(result)
    print(told)
    if options.json:
        options.json.write_text(told + "\n")
    show(result)


if __name__ == "__main__":
    main()
