"""The results for people."""

from collections.abc import Sequence

from benchmarks.attacks.attack import KINDS, Attack
from benchmarks.attacks.storm import Storm
from benchmarks.attacks.trial import Trial
from rich.console import Console
from rich.table import Table

WIDTH = 200
MOST_PROBLEMS = 4


def list_attacks(chosen: Sequence[Attack]) -> None:
    """What the attacks do."""
    table = Table("attack", "kind", "what it does", "what must hold", show_lines=True)
    for each in chosen:
        table.add_row(each.name, each.kind, each.does, each.holds)
    console = Console(width=WIDTH)
    console.print(table)
    for number, what in KINDS.items():
        console.print(f"kind {number}: {what}", highlight=False)


def show_trials(trials: Sequence[Trial]) -> None:
    """The tables: attacks beside the neighbour, and checks."""
    console = Console(stderr=True, width=WIDTH)
    measured = [each for each in trials if each.quiet_ms]
    if measured:
        console.print(_measured(measured))
    if checked := [each for each in trials if not each.quiet_ms]:
        table = Table("check", "kind", "figures", "verdict", title="Checks", title_justify="left")
        for each in checked:
            figures = ", ".join(f"{name} {value}" for name, value in each.figures.items())
            table.add_row(each.name, each.kind, figures, verdict(each))
        console.print(table)
    console.print(f"{sum(each.holds for each in trials)} of {len(trials)} hold")


def show_storm(result: Storm) -> None:
    """The table of a storm."""
    table = Table(title=f"{result.calls} calls that speak beside 2,000 strangers, ms", title_justify="left")
    for heading in (
        "",
        "late for playing p50",
        "p99",
        "max",
        "on the way p50",
        "p99",
        "chunks",
        "answers",
        "gateway's core",
    ):
        table.add_column(heading, justify="right")
    for part, late in result.playout_late_ms.items():
        way = result.transit_ms[part]
        figures = [
            late.get("p50"),
            late.get("p99"),
            late.get("max"),
            way.get("p50"),
            way.get("p99"),
            result.chunks[part],
        ]
        answers = ", ".join(f"{number} {name}" for name, number in result.answers[part].items())
        table.add_row(part, *map(str, figures), answers, f"{result.gateway_core_share[part]:.0%}")
    console = Console(stderr=True, width=WIDTH)
    console.print(table)
    strangers = ", ".join(f"{number} {name}" for name, number in result.strangers.items())
    refused = sum(result.newcomers_refused.values())
    console.print(f"strangers: {strangers}; newcomers: {result.newcomers_served} served, {refused} refused")
    console.print("holds" if result.holds else "does not hold")


def _measured(trials: Sequence[Trial]) -> Table:
    table = Table(
        title="Beside an attack: the neighbour's turns (ms), newcomers, and memory (MB)",
        caption="quiet and beside: p50 · p99; gateway and store: before · peak · after",
        title_justify="left",
    )
    for heading in ("attack", "kind"):
        table.add_column(heading)
    for heading in ("quiet", "beside", "ratio p50", "p99", "refused", "lost", "newcomers", "again after s"):
        table.add_column(heading, justify="right")
    for heading in ("gateway", "store"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for each in trials:
        came = each.newcomers_served + sum(each.newcomers_refused.values())
        table.add_row(
            each.name,
            each.kind,
            *(_pair(ms) for ms in (each.quiet_ms, each.beside_ms)),
            *(f"{each.ratio.get(name, 0.0):.1f}" for name in ("p50", "p99")),
            str(each.refused),
            str(each.lost),
            f"{each.newcomers_served} of {came}",
            f"{each.recovered_s:.1f}",
            *(_memory(mb) for mb in (each.gateway_mb, each.store_mb)),
            verdict(each),
        )
    return table


def _pair(ms: dict[str, float]) -> str:
    return f"{ms['p50']:.0f} · {ms['p99']:.0f}" if ms else ""


def _memory(mb: dict[str, float]) -> str:
    return " · ".join(f"{mb[name]:.0f}" for name in ("before", "peak", "after") if name in mb)


def verdict(trial: Trial) -> str:
    """`holds`, or why not."""
    shown, others = trial.problems[:MOST_PROBLEMS], len(trial.problems) - MOST_PROBLEMS
    return "holds" if trial.holds else "; ".join([*shown, *([f"and {others} more"] if others > 0 else [])])
