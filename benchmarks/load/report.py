"""Reports a run: a table for terminals, a picture, and one HTML page that needs no network. Decides wording and looks alone."""

import io
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from benchmarks.load.figures import Figures, Run, Spread
from benchmarks.load.sample import CALL, FIRST_AUDIO, KINDS, LATENESS, REFUSED, SETUP, TURN, VOICE_TO_VOICE, YIELD
from rich.box import SIMPLE_HEAD
from rich.table import Table

MEANINGS = {
    VOICE_TO_VOICE: "from the caller's last voiced sample to the first audio of the answer",
    FIRST_AUDIO: "from the end of the turn, as the server tells it, or from sending a typed line, to the first audio",
    YIELD: "from the first sound of an interruption to the last of the agent's audio",
    TURN: "from the end of a line to the end of its answer, as it is played",
    SETUP: "from dialling until the session is ready",
    REFUSED: "refused by a limit, which is no failure: from asking to the refusal",
    CALL: "from dialling to hanging up",
    LATENESS: "how late the callers' own frames were: the worst of each second of a call",
}
COLOURS = {VOICE_TO_VOICE: "#0072B2", FIRST_AUDIO: "#009E73", YIELD: "#D55E00"}  # Okabe and Ito's
COLUMNS = ("p50", "p95", "p99", "max")
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;text-align:right}"
    "td:first-child,th:first-child,td:last-child,th:last-child{text-align:left}.sub td{color:#666}"
    ".sub td:first-child{padding-left:2rem}.bad{color:#b00020}svg{max-width:100%;height:auto}"
)


def rows(figures: Figures) -> list[tuple[str, str, Spread]]:
    """Kind, name and spread, in order; the name is "" for a kind as a whole. Kinds without samples are left out."""
    found = []
    for kind in KINDS:
        if figures.spreads[kind].count:
            found.append((kind, "", figures.spreads[kind]))
            names = figures.names[kind]
            found += [(kind, name, spread) for name, spread in names.items() if len(names) > 1 or kind == REFUSED]
    return found


def cells(spread: Spread) -> list[str]:
    """Count, failures, and the times; without a success there are none."""
    has_times = spread.count > spread.failures
    times = [f"{getattr(spread, column):,.0f}" if has_times else "" for column in COLUMNS]
    return [f"{spread.count:,}", f"{spread.failures:,}" if spread.failures else "", *times]


def sentences(figures: Figures) -> list[str]:
    """What the numbers come to; warnings last."""
    live = figures.live
    said = [
        f"{figures.seconds:.0f} s with {live['mean']:g} calls at once on average, {live['most']:g} at most; "
        f"{figures.turns_per_s:g} turns a second answered.",
        f"Failed: {figures.error_rate:.2%} of all turns and calls. "
        f"Refused by limits: {figures.refused_share:.1%} of the attempts to call.",
    ]
    if not figures.has_ramped:
        said.append("WARNING: the run ended before all callers were there: these are figures of the ramp.")
    if not figures.are_callers_on_time:
        late = figures.spreads[LATENESS]
        said.append(
            f"WARNING: the callers' own frames were late (p99 {late.p99:.0f} ms): the times above include that. "
            "Call from another machine, or with fewer calls."
        )
    return said


def table(figures: Figures) -> Table:
    """All spreads, for a terminal."""
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, title="Load, ms", title_justify="left")
    shown.add_column("")
    for column in ("count", "failed", *COLUMNS):
        shown.add_column(column, justify="right", no_wrap=True)
    for kind, name, spread in rows(figures):
        shown.add_row(f"  {name}" if name else kind, *cells(spread), style="dim" if name else "")
    return shown


def picture(run: Run, figures: Figures) -> Any:
    """Left: how many moments took how long at most. Right: the waits over time, above the calls at once. A matplotlib figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(13, 5), layout="constrained")
    FigureCanvasAgg(drawn)
    left, right = drawn.subplots(1, 2, width_ratios=[2, 3])
    good = [sample for sample in run.samples if not sample.fault]
    for kind, colour in COLOURS.items():
        times = sorted(sample.ms for sample in good if sample.kind == kind and sample.at_s >= run.began_s)
        if times:
            left.step(times, (np.arange(len(times)) + 1) / len(times) * 100, where="post", color=colour, label=kind)
        points = [(sample.at_s - run.began_s, sample.ms) for sample in good if sample.kind == kind]
        right.scatter(*zip(*points, strict=True), s=9, color=colour, label=kind, linewidths=0) if points else None
    for percent in (50, 95, 99):
        left.axhline(percent, color="#8a8a8a", linewidth=0.6, linestyle=":")
    left.set(xlabel="ms", ylabel="% of moments", ylim=(0, 101), xlim=(0, None))
    right.set(xlabel="s since all callers were there", ylabel="ms", ylim=(0, None))
    calls = right.twinx()
    steps = [(at_s - run.began_s, count) for at_s, count in run.live()]
    if steps:
        calls.step(*zip(*steps, strict=True), where="post", color="#8a8a8a", linewidth=1)
    calls.set(ylabel="calls at once", ylim=(0, max(1.0, figures.live["most"]) * 1.25))
    refusals = [sample.at_s - run.began_s for sample in good if sample.kind == REFUSED]
    if refusals:
        right.scatter(
            refusals, np.zeros(len(refusals)), marker="|", s=60, color="#222222", label=REFUSED, clip_on=False
        )
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, loc="best")
    calls.spines[["top", "left"]].set_visible(False)
    return drawn


def svg(drawn: Any) -> str:
    """A matplotlib figure as an SVG element."""
    out = io.StringIO()
    drawn.savefig(out, format="svg")
    text = out.getvalue()
    return text[text.index("<svg") :]


def html(figures: Figures, facts: Sequence[tuple[str, str]], drawing: str) -> str:
    """The report as one page.

    Args:
        figures: the figures.
        facts: what was run, on what: name and value.
        drawing: an SVG element.
    """
    heads = "".join(f"<th>{escape(column)}" for column in ("", "count", "failed", *COLUMNS, "what it is"))
    lines = "".join(
        f"<tr class={'sub' if name else 'kind'}><td>{escape(name or kind)}</td>"
        f"{''.join(f'<td>{cell}</td>' for cell in cells(spread))}<td>{'' if name else escape(MEANINGS[kind])}</td></tr>"
        for kind, name, spread in rows(figures)
    )
    said = "".join(
        f"<p{' class=bad' if sentence.startswith('WARNING') else ''}>{escape(sentence)}</p>"
        for sentence in sentences(figures)
    )
    faults = "".join(f"<tr><td>{escape(fault)}</td><td>{count}</td></tr>" for fault, count in figures.faults.items())
    known = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Load</title><style>{STYLE}</style><h1>Load</h1>{said}"
        f"<table><tr>{heads}</tr>{lines}</table><p>Times in ms, of those that did not fail.</p><figure>{drawing}</figure>"
        + (f"<h2>Failures</h2><table><tr><th>what<th>count</tr>{faults}</table>" if faults else "")
        + f"<h2>The run</h2><table>{known}</table></html>\n"
    )
