"""The report as one HTML page that needs nothing but itself: verdict, figures, the worst calls, all numbers, all faults.

Decides what stands where. `report_figures` makes the figures and `report_call` a call.
"""

from collections.abc import Mapping, Sequence
from html import escape

from agentvoicebox.evals.baseline import Baseline, Change
from agentvoicebox.evals.call_review import CallReview
from agentvoicebox.evals.call_sound import CallSound
from agentvoicebox.evals.metric import ScoreFault
from agentvoicebox.evals.replay import Replay
from agentvoicebox.evals.report import MOST_FAULTS, WORDS, regressions, replay_summary, shown
from agentvoicebox.evals.report_call import anchor, call_html
from agentvoicebox.evals.report_figures import ReportFigure
from agentvoicebox.evals.report_style import STYLE
from agentvoicebox.evals.score import Score

NOT_COMPARED = "not compared"
_GOOD = "as it must be"


def page(
    score: Score,
    changes: Sequence[Change],
    *,
    made: str,
    baseline: Baseline | None = None,
    replays: Sequence[Replay] = (),
    figures: Sequence[ReportFigure] = (),
    worst: Sequence[CallReview] = (),
    sounds: Mapping[str, CallSound] | None = None,
) -> str:
    """The page.

    Args:
        score: the score.
        changes: its comparison with the baseline.
        made: time for the heading.
        baseline: the baseline, if there is one.
        replays: of the same interactions.
        figures: in the order of the page.
        worst: the calls to show, the worst first.
        sounds: their audio, by call id.
    """
    against = (
        f", compared with the baseline of {baseline.made} ({baseline.interactions} interactions)"
        if baseline
        else "; there is no baseline to compare with"
    )
    anchors = {each.interaction.call_id: anchor(each.interaction) for each in reversed(worst)}
    summary = "".join(f"<li>{escape(line)}</li>" for line in replay_summary(replays).splitlines())
    return (
        '<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f"<title>Evaluation {escape(made)}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>Evaluation</h1><p class=faint>{escape(made)} · {score.interactions} interactions{escape(against)}</p>"
        f"{_verdict(changes, baseline)}<ul>{summary}</ul>"
        f"<h2>What happened</h2>{''.join(each.html() for each in figures)}"
        f"{_worst(worst, sounds or {})}{_numbers(changes)}{_faults(score.faults, anchors)}</main></body></html>\n"
    )


def standing(change: Change) -> tuple[str, str]:
    """How a metric stands: `good`, `bad` or `none` (nothing was compared), and a few words."""
    if change.is_regression:
        return "bad", WORDS[change.judged]
    now = change.now
    if now is None or not now.samples or change.is_informative:
        return "none", NOT_COMPARED
    if change.judged == "better":
        return "good", WORDS["better"]
    if now.must_be is not None:
        return "good", _GOOD
    if change.before is None:
        return "none", NOT_COMPARED
    return "", WORDS["same"]


def _verdict(changes: Sequence[Change], baseline: Baseline | None) -> str:
    if worse := regressions(changes):
        return f"<ul class=bad>{''.join(f'<li>{escape(each)}</li>' for each in worse)}</ul>"
    if baseline is None:
        return "<p class=none>No value that must not be. Nothing was compared with an earlier score.</p>"
    return "<p class=good>No regression.</p>"


def _worst(reviews: Sequence[CallReview], sounds: Mapping[str, CallSound]) -> str:
    if not reviews:
        return ""
    contents = "".join(
        f'<li><a href="#{anchor(each.interaction)}">{escape(each.interaction.scenario or each.interaction.call_id)}</a>'
        f" <span class=faint>{escape('; '.join(each.reasons) or each.outcome)}</span></li>"
        for each in reviews
    )
    calls = "".join(call_html(each, sounds.get(each.interaction.call_id)) for each in reviews)
    return f"<h2 id=worst>The worst {len(reviews)} of them</h2><ol>{contents}</ol>{calls}"


def _numbers(changes: Sequence[Change]) -> str:
    rows = ""
    for change in changes:
        style, words = standing(change)
        samples = change.now.samples if change.now else ""
        rows += (
            f"<tr class={style or 'same'}><th scope=row>{escape(change.name)}</th><td>{shown(change.before)}</td>"
            f"<td>{shown(change.now)}</td><td>{samples}</td><td>{words}</td></tr>"
        )
    return _table("All numbers", ("metric", "before", "now", "of", "standing"), rows)


def _faults(faults: Sequence[ScoreFault], anchors: Mapping[str, str]) -> str:
    if not faults:
        return ""
    rows = ""
    for fault in faults[:MOST_FAULTS]:
        call = escape(fault.call_id)
        if fault.call_id in anchors:
            call = f'<a href="#{anchors[fault.call_id]}">{call}</a>'
        rows += (
            f"<tr><th scope=row>{escape(fault.metric)}</th><td>{escape(fault.scenario)}</td><td>{call}</td>"
            f"<td>{escape(fault.what)}</td></tr>"
        )
    more = len(faults) - MOST_FAULTS
    rest = f"<p>… and {more} more</p>" if more > 0 else ""
    return _table("Faults", ("metric", "scenario", "call", "what"), rows) + rest


def _table(title: str, head: Sequence[str], rows: str) -> str:
    names = "".join(f"<th scope=col>{name}</th>" for name in head)
    return (
        f'<h2>{title}</h2><div class=wide tabindex=0 role=group aria-label="{title}"><table><thead><tr>{names}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
