"""The results for people."""

from collections.abc import Sequence

from benchmarks.attacks.attack import Attack
from benchmarks.attacks.trial import Trial
from rich.console import Console
from rich.table import Table

WIDTH = 200


def list_attacks(chosen: Sequence[Attack]) -> None:
    """What the attacks do."""
    table = Table("attack", "finding", "what it does", "what must hold", show_lines=True)
    for each in chosen:
        table.add_row(each.name, each.finding, each.does, each.holds)
    Console(width=WIDTH).print(table)


def show_trials(trials: Sequence[Trial]) -> None:
    """The tables: attacks beside the neighbour, and checks."""
    console = Console(stderr=True, width=WIDTH)
    measured = [each for each in trials if each.quiet_ms]
    if measured:
        console.print(_measured(measured))
    if checked := [each for each in trials if not each.quiet_ms]:
        table = Table("check", "finding", "figures", "verdict", title="Checks", title_justify="left")
        for each in checked:
            figures = ", ".join(f"{name} {value}" for name, value in each.figures.items())
            table.add_row(each.name, each.finding, figures, _verdict(each))
        console.print(table)
    console.print(f"{sum(each.holds for each in trials)} of {len(trials)} hold")


def _measured(trials: Sequence[Trial]) -> Table:
    table = Table(
        title="Beside an attack: the neighbour's turns (ms), newcomers, and memory (MB)",
        caption="quiet and beside: p50 · p99; gateway and store: before · peak · after",
        title_justify="left",
    )
    for heading in ("attack", "finding"):
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
            each.finding,
            *(_pair(ms) for ms in (each.quiet_ms, each.beside_ms)),
            *(f"{each.ratio.get(name, 0.0):.1f}" for name in ("p50", "p99")),
            str(each.refused),
            str(each.lost),
            f"{each.newcomers_served} of {came}",
            f"{each.recovered_s:.1f}",
            *(_memory(mb) for mb in (each.gateway_mb, each.store_mb)),
            _verdict(each),
        )
    return table


def _pair(ms: dict[str, float]) -> str:
    return f"{ms['p50']:.0f} · {ms['p99']:.0f}" if ms else ""


def _memory(mb: dict[str, float]) -> str:
    return " · ".join(f"{mb[name]:.0f}" for name in ("before", "peak", "after") if name in mb)


def _verdict(trial: Trial) -> str:
    return "holds" if trial.holds else "; ".join(trial.problems)
