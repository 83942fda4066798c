"""Reports a score: a table for terminals, and one self-contained HTML file with its plots.

Decides wording and order; regressions come first. `baseline` compares the scores and `report_plots` draws.
"""

from collections.abc import Sequence
from html import escape
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from agentvoicebox.evals.baseline import Baseline, Change
from agentvoicebox.evals.metric import Metric, ScoreFault
from agentvoicebox.evals.replay import Replay
from agentvoicebox.evals.score import Score

MOST_FAULTS = 200  # listed in a report
WIDTH = 118
WORDS = {
    "good": "",
    "same": "as before",
    "better": "better",
    "worse": "WORSE",
    "bad": "NOT ACCEPTABLE",
    "new": "new",
    "gone": "NOT MEASURED ANY MORE",
}
STYLES = {"better": "green", "worse": "bold red", "bad": "bold red", "gone": "bold red"}


def shown(metric: Metric | None) -> str:
    """A metric's value as text."""
    if metric is None:
        return "none"
    match metric.unit:
        case "share":
            return f"{metric.value * 100:.1f} %"
        case "ms":
            return f"{metric.value:.1f} ms"
        case "count":
            return f"{metric.value:.0f}"


def regressions(changes: Sequence[Change]) -> list[str]:
    """The regressions, each as a sentence that begins with the metric's name."""
    found = []
    for change in changes:
        if change.is_regression:
            before = f", before {shown(change.before)}" if change.before else ""
            must = f", must be {change.now.must_be:g}" if change.judged == "bad" and change.now else ""
            found.append(f"{change.name}: {shown(change.now)}{before}{must}")
    return found


def table(changes: Sequence[Change]) -> Table:
    """Every metric, before and now."""
    found = Table(box=SIMPLE_HEAD, pad_edge=False)
    found.add_column("metric", no_wrap=True)
    for name in ("before", "now", "of"):
        found.add_column(name, justify="right", no_wrap=True)
    found.add_column("")
    for change in changes:
        samples = str(change.now.samples) if change.now else ""
        style = STYLES.get(change.judged, "")
        found.add_row(change.name, shown(change.before), shown(change.now), samples, WORDS[change.judged], style=style)
    return found


def text(score: Score, changes: Sequence[Change], replays: Sequence[Replay] = ()) -> str:
    """The report as text without colours, for logs and files."""
    out = StringIO()
    Console(file=out, width=WIDTH, no_color=True, highlight=False).print(table(changes))
    lines = [f"{score.interactions} interactions", out.getvalue().rstrip(), replay_summary(replays)]
    lines += [f"- {_fault_line(fault)}" for fault in score.faults[:MOST_FAULTS]]
    worse = regressions(changes)
    lines += ["", "Regressions:", *(f"- {each}" for each in worse)] if worse else ["", "No regression."]
    return "\n".join(line for line in lines if line is not None) + "\n"


def replay_summary(replays: Sequence[Replay]) -> str:
    """Number and results of the replays of each kind, one line each."""
    summary = []
    for what in sorted({each.what for each in replays}):
        of_kind = [each for each in replays if each.what == what]
        same = sum(each.verdict == "same" for each in of_kind)
        impossible = sum(each.verdict == "impossible" for each in of_kind)
        left_out = f", {impossible} impossible" if impossible else ""
        summary.append(f"replayed {what}: {same} of {len(of_kind) - impossible} the same{left_out}")
    return "\n".join(summary)


def _fault_line(fault: ScoreFault) -> str:
    return f"{fault.metric}: {fault.scenario or fault.call_id}: {fault.what}"


def html(
    score: Score,
    changes: Sequence[Change],
    *,
    made: str,
    baseline: Baseline | None = None,
    replays: Sequence[Replay] = (),
    pictures: Sequence[str] = (),
) -> str:
    """The report as one page.

    Args:
        score: the score.
        changes: its comparison with the baseline.
        made: time for the heading.
        baseline: the baseline, if there is one.
        replays: of the same interactions.
        pictures: SVG elements.
    """
    worse = regressions(changes)
    verdict = (
        f"<ul class=bad>{''.join(f'<li>{escape(each)}</li>' for each in worse)}</ul>"
        if worse
        else "<p class=good>No regression.</p>"
    )
    against = (
        f"compared with the baseline of {baseline.made} ({baseline.interactions} interactions)" if baseline else ""
    )
    rows = "".join(
        f"<tr class={change.judged}><td>{escape(change.name)}</td><td>{shown(change.before)}</td>"
        f"<td>{shown(change.now)}</td><td>{change.now.samples if change.now else ''}</td>"
        f"<td>{WORDS[change.judged]}</td></tr>"
        for change in changes
    )
    faults = "".join(
        f"<tr><td>{escape(fault.metric)}</td><td>{escape(fault.scenario)}</td><td>{escape(fault.call_id)}</td>"
        f"<td>{escape(fault.what)}</td></tr>"
        for fault in score.faults[:MOST_FAULTS]
    )
    more = len(score.faults) - MOST_FAULTS
    fault_table = (
        f"<h2>Faults</h2><table><tr><th>metric<th>scenario<th>call<th>what</tr>{faults}</table>"
        + (f"<p>… and {more} more</p>" if more > 0 else "")
        if faults
        else ""
    )
    summary = "<br>".join(escape(line) for line in replay_summary(replays).splitlines())
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Evaluation {escape(made)}</title>"
        f"<style>{_STYLE}</style><h1>Evaluation</h1>"
        f"<p>{escape(made)} · {score.interactions} interactions {escape(against)}<br>{summary}</p>{verdict}"
        f"{''.join(f'<figure>{picture}</figure>' for picture in pictures)}"
        f"<h2>All numbers</h2><table><tr><th>metric<th>before<th>now<th>of<th></tr>{rows}</table>{fault_table}</html>\n"
    )


_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{padding:.2rem .6rem;text-align:left;border-bottom:1px solid #e6e6e6}
td:nth-child(2),td:nth-child(3),td:nth-child(4){white-space:nowrap}
.worse,.bad,.gone{color:#b00020;font-weight:600}.better,.good{color:#00695c}
figure{margin:1.5rem 0}svg{max-width:100%;height:auto}
"""
