"""Plots of a score: latency of answers with the baseline, and working time of each part. SVG, drawn without a display.

Colours are Okabe and Ito's, as in `client.timeline`. matplotlib is imported only when a plot is drawn.
"""

from collections.abc import Sequence
from io import StringIO
from typing import Any

import numpy as np

from agentvoicebox.client.timeline import FAINT, INK, LOOKS, PAPER
from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.evals.baseline import Baseline
from agentvoicebox.evals.metric import Metric
from agentvoicebox.evals.score import Score
from agentvoicebox.interactions.interaction import Interaction

NOW, BEFORE = "#0072B2", "#999999"


def pictures(score: Score, interactions: Sequence[Interaction], baseline: Baseline | None) -> list[str]:
    """The plots of a report as SVG elements; [] if no interaction has a latency.

    Raises:
        ProviderUnavailable: matplotlib is not installed.
    """
    channels = sorted({each.channel for each in interactions if each.waits})
    before = baseline.metrics if baseline else {}
    drawn = [_waits(channel, interactions, before) for channel in channels]
    return drawn + [_parts(channel, score.metrics, before) for channel in channels]


def _figure(height: float) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ProviderUnavailable("pictures need matplotlib: type `pip install 'agentvoicebox[pictures]'`") from error
    figure = Figure(figsize=(10, height), facecolor=PAPER, layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK)
    return figure, axes


def _svg(figure: Any) -> str:
    from matplotlib import rc_context

    out = StringIO()
    # Text stays text, and ids depend only on the plot: the same score gives the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "agentvoicebox"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    drawn = out.getvalue()
    return drawn[drawn.index("<svg") :]


def _waits(channel: str, interactions: Sequence[Interaction], before: dict[str, Metric]) -> str:
    """Cumulative distribution of latencies, with the baseline's percentiles."""
    figure, axes = _figure(3.2)
    waits = np.sort([wait.total_ms for each in interactions if each.channel == channel for wait in each.waits])
    axes.step(
        np.concatenate([[0.0], waits]),
        np.arange(len(waits) + 1) / len(waits) * 100,
        where="post",
        color=NOW,
        label="now",
    )
    old = [before.get(f"latency.{channel}.total.p{p}") for p in (50, 95, 99)]
    if any(old):
        points = [(metric.value, p) for metric, p in zip(old, (50, 95, 99), strict=True) if metric]
        axes.plot(*zip(*points, strict=True), "o", color=BEFORE, markersize=7, label="baseline: p50, p95, p99")
    for p in (50, 95):
        axes.axhline(p, color="#e6e6e6", linewidth=0.8, zorder=0)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 102)
    axes.set_title(f"{channel}: how long callers waited for an answer ({len(waits)} answers)", loc="left", color=INK)
    axes.set_xlabel("ms")
    axes.set_ylabel("% answered by then")
    axes.legend(frameon=False, loc="upper left")
    return _svg(figure)


def _parts(channel: str, metrics: dict[str, Metric], before: dict[str, Metric]) -> str:
    """p50 and p95 of each part's working time, now and before."""
    names = [name for name in metrics if name.startswith(f"latency.{channel}.work.") and name.endswith(".p50")]
    names = names or [name for name in metrics if name.startswith(f"latency.{channel}.part.") and name.endswith(".p50")]
    figure, axes = _figure(0.9 + 0.55 * max(1, len(names)))
    for row, name in enumerate(names):
        part = name.split(".")[-2]
        colour = LOOKS.get(part, (NOW, ""))[0]
        for offset, source, alpha in ((-0.17, metrics, 1.0), (0.17, before, 0.4)):
            middle, high = source.get(name), source.get(name.replace(".p50", ".p95"))
            if middle is None or high is None:
                continue
            axes.barh(row + offset, middle.value, height=0.3, color=colour, alpha=alpha)
            axes.plot([middle.value, high.value], [row + offset] * 2, color=INK, alpha=alpha, linewidth=1.2)
            axes.plot(high.value, row + offset, "|", color=INK, alpha=alpha, markersize=8)
            label = f"  p50 {middle.value:.0f}  p95 {high.value:.0f}{'' if alpha == 1.0 else '  (baseline)'}"
            axes.text(high.value, row + offset, label, va="center", fontsize=8, color=INK if alpha == 1.0 else FAINT)
    axes.set_yticks(range(len(names)), [name.split(".")[-2] for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, axes.get_xlim()[1] * 1.25)
    axes.set_xlabel("ms")
    axes.set_title(f"{channel}: how long each part worked, hidden or not", loc="left", color=INK)
    return _svg(figure)
