"""Reports a score as text, for terminals and files.

Decides wording and order; regressions come first. `baseline` compares the scores; `report_page` is the report as a page.
"""

from collections.abc import Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from agentvoicebox.evals.baseline import Change
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
        compared = sum(each.compares for each in of_kind)
        left_out = "".join(
            f", {count} {word}"
            for word in ("failed", "impossible")
            if (count := sum(each.verdict == word for each in of_kind))
        )
        result = f"{same} of {compared} the same" if compared else "nothing was compared"
        summary.append(f"replayed {what}: {result}{left_out}")
    return "\n".join(summary)


def _fault_line(fault: ScoreFault) -> str:
    return f"{fault.metric}: {fault.scenario or fault.call_id}: {fault.what}"
