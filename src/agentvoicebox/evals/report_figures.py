"""The figures of a report: a plot with the table behind it, or a sentence where there is no spread to draw.

Decides what is worth a plot; `report_plots` draws.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

import msgspec
import numpy as np

from agentvoicebox.evals.baseline import Baseline
from agentvoicebox.evals.call_review import CallReview
from agentvoicebox.evals.metric import PERCENTILES, Metric
from agentvoicebox.evals.report_plots import bars, curve, spreads
from agentvoicebox.interactions.interaction import Interaction

REQUESTS = ("webhook", "rest")  # channels of single requests
SIMULATED = "rehearsal"
LEAST_SPREAD_MS = 0.05


class ReportFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A plot or a sentence, with its numbers.

    Attributes:
        title: what it shows.
        sentence: said below the title; instead of a plot if there is nothing to compare.
        svg: an SVG element, or "".
        head, rows: the table behind the plot; cells are text.
    """

    title: str
    sentence: str = ""
    svg: str = ""
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    def html(self) -> str:
        """As an HTML figure."""
        table = ""
        if self.rows:
            head = "".join(f"<th scope=col>{escape(each)}</th>" for each in self.head)
            body = "".join(
                f"<tr><th scope=row>{escape(first)}</th>{''.join(f'<td>{escape(each)}</td>' for each in rest)}</tr>"
                for first, *rest in self.rows
            )
            title = escape(self.title)
            table = (
                f"<details><summary>Numbers<span class=aside> of: {title}</span></summary>"
                f'<div class=wide tabindex=0 role=group aria-label="Numbers of: {title}">'
                f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>"
            )
        sentence = f"<p>{escape(self.sentence)}</p>" if self.sentence else ""
        plot = f"<div class=plot tabindex=0 role=group aria-label=Plot>{self.svg}</div>" if self.svg else ""
        return f"<figure><figcaption>{escape(self.title)}</figcaption>{sentence}{plot}{table}</figure>"


def figures(
    reviews: Sequence[CallReview], interactions: Sequence[Interaction], baseline: Baseline | None
) -> list[ReportFigure]:
    """The figures of a report, in its order."""
    calls = [each for each in reviews if each.interaction.channel not in REQUESTS]
    requests = [each for each in reviews if each.interaction.channel in REQUESTS]
    found = [outcomes("call", calls), tries(calls), lines_of_the_agent(calls)] if calls else []
    found += [outcomes("request", requests)] if requests else []
    for channel in sorted({each.channel for each in interactions if each.waits}):
        of_channel = [each for each in interactions if each.channel == channel]
        if channel == SIMULATED:
            found.append(ReportFigure(title="Latency of simulated calls", sentence=_SIMULATED))
        else:
            before = baseline.metrics if baseline else {}
            found += [latency(channel, of_channel, before), parts(channel, of_channel, before)]
    return found


_SIMULATED = (
    "Not shown: these calls were simulated, and every part takes an assumed time. Their latency says something about "
    "the number of steps, nothing about a machine; the table of all numbers has it for comparison."
)


def outcomes(what: str, reviews: Sequence[CallReview]) -> ReportFigure:
    """How many calls or requests came out in which way."""
    counts = Counter(each.outcome for each in reviews)
    order = sorted(counts, key=lambda name: (min(each.rank for each in reviews if each.outcome == name), name))
    title = f"How {what}s came out ({len(reviews)})"
    if len(order) < 2:
        return ReportFigure(title=title, sentence=f"All of them: {order[0]}.")
    head = ("outcome", f"{what}s", "share")
    rows = tuple((name, str(counts[name]), f"{counts[name] / len(reviews) * 100:.0f} %") for name in order)
    return ReportFigure(
        title=title,
        svg=bars(title, rows, [counts[name] for name in order], f"{what}s", head),
        head=head,
        rows=rows,
    )


def tries(reviews: Sequence[CallReview]) -> ReportFigure:
    """How many tries it took until the tool had what the caller meant."""
    needed = Counter(each.tries for each in reviews if each.tries is not None)
    title = f"Tries until the right number ({sum(needed.values())} of {len(reviews)} calls)"
    if not needed:
        return ReportFigure(title=title, sentence="No call came that far.")
    if len(needed) == 1:
        (count,) = needed
        return ReportFigure(title=title, sentence=f"Each of them took {count} {'try' if count == 1 else 'tries'}.")
    steps = range(1, max(needed) + 1)
    of = sum(needed.values())
    head = ("tries", "calls", "by then")
    within = np.cumsum([needed[each] for each in steps]) / of * 100
    rows = tuple(
        (f"{each} {'try' if each == 1 else 'tries'}", str(needed[each]), f"{share:.0f} %")
        for each, share in zip(steps, within, strict=True)
    )
    return ReportFigure(
        title=title,
        svg=bars(title, rows, [needed[each] for each in steps], "calls", head),
        head=head,
        rows=rows,
    )


def lines_of_the_agent(reviews: Sequence[CallReview]) -> ReportFigure:
    """In how many calls the agent declined, promised in vain, or stated what no result supports."""
    known = [each for each in reviews if each.refusals is not None]
    kinds = {
        "declined something": ([len(each.refusals or ()) for each in known], len(known)),
        "promised in vain": ([len(each.promises) for each in known], len(known)),
        "unsupported statement": ([len(each.unsupported) for each in reviews], len(reviews)),
    }
    title = f"What the agent said ({len(reviews)} calls)"
    hidden = len(reviews) - len(known)
    note = (
        f"Words of {hidden} calls were not recorded, so it is not known what was declined or promised in them."
        if hidden
        else ""
    )
    if not any(sum(counts) for counts, _ in kinds.values()):
        none = "The agent declined nothing, promised nothing in vain, and stated nothing without a result."
        return ReportFigure(title=title, sentence=f"{none} {note}".strip() if known else note)
    rows = tuple((name, f"{sum(map(bool, counts))} of {of}", f"{sum(counts)}") for name, (counts, of) in kinds.items())
    head = ("what", "calls", "lines")
    values = [sum(map(bool, counts)) for counts, _ in kinds.values()]
    return ReportFigure(
        title=title,
        sentence=note,
        svg=bars(title, rows, values, "calls with at least one", head),
        head=head,
        rows=rows,
    )


def latency(channel: str, interactions: Sequence[Interaction], before: Mapping[str, Metric]) -> ReportFigure:
    """Cumulative distribution of the waits, with the baseline's percentiles."""
    waits = np.sort([wait.total_ms for each in interactions for wait in each.waits])
    title = f"{channel}: how long callers waited for an answer ({len(waits)} answers)"
    if waits[-1] - waits[0] < LEAST_SPREAD_MS:
        return ReportFigure(
            title=title, sentence=f"{'Each' if len(waits) > 1 else 'The only one'} took {waits[0]:.0f} ms."
        )
    old = {p: metric.value for p in PERCENTILES if (metric := before.get(f"latency.{channel}.total.p{p}"))}
    rows = tuple(
        (f"p{p}", f"{np.percentile(waits, p):.0f} ms", *((f"{old[p]:.0f} ms" if p in old else "none",) if old else ()))
        for p in PERCENTILES
    )
    return ReportFigure(
        title=title,
        sentence="Dots: p50, p95 and p99 of the baseline." if old else "",
        svg=curve(title, waits.tolist(), old),
        head=("percentile", "now", *(("baseline",) if old else ())),
        rows=rows,
    )


def parts(channel: str, interactions: Sequence[Interaction], before: Mapping[str, Metric]) -> ReportFigure:
    """Median and 95th percentile of each part's working time, or of its share of the waits."""
    kind = "work" if any(wait.work_ms for each in interactions for wait in each.waits) else "part"
    values: dict[str, list[float]] = {}
    for each in interactions:
        for wait in each.waits:
            for part, ms in (wait.work_ms if kind == "work" else wait.parts_ms).items():
                values.setdefault(part, []).append(ms)
    title = f"{channel}: how long each part {'worked' if kind == 'work' else 'took'}"
    spread = {part: found for part, found in values.items() if max(found) - min(found) >= LEAST_SPREAD_MS}
    same = [
        f"{part} always {found[0]:.0f} ms" for part, found in values.items() if part not in spread and found[0] >= 0.5
    ]
    sentence = f"Without spread, so not drawn: {', '.join(same)}." if same else ""
    if not spread:
        return ReportFigure(title=title, sentence=sentence or "No part is known.")
    rows, drawn = [], []
    for part, found in spread.items():
        middle, high = (float(value) for value in np.percentile(found, (50, 95)))
        old = [before.get(f"latency.{channel}.{kind}.{part}.p{p}") for p in (50, 95)]
        old_ms = [metric.value if metric else None for metric in old]
        was = " / ".join("none" if ms is None else f"{ms:.0f}" for ms in old_ms) if any(old) else "none"
        rows.append((part, f"{middle:.0f}", f"{high:.0f}", *((was,) if before else ())))
        drawn.append((part, middle, high, old_ms[0]))
    head = ("part", "p50 ms", "p95 ms", *(("baseline",) if before else ()))
    explained = (
        "Bars: p50. Lines: up to p95. Grey bars: p50 of the baseline. " if before else "Bars: p50. Lines: up to p95. "
    )
    return ReportFigure(
        title=title, sentence=(explained + sentence).strip(), svg=spreads(title, drawn, rows, head), head=head, rows=tuple(rows)
    )  # fmt: skip
