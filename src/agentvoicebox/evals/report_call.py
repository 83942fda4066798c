"""One call of a report as HTML: what is against it, its words with the faulty ones marked, its sound, and where the time went."""

import re
from collections.abc import Sequence
from html import escape

from agentvoicebox.client.timeline import LOOKS
from agentvoicebox.evals.call_review import CallReview
from agentvoicebox.evals.call_sound import CallSound
from agentvoicebox.evals.report_figures import ReportFigure
from agentvoicebox.evals.report_plots import waterfall
from agentvoicebox.interactions.interaction import Interaction, Line, ToolUse, Wait
from agentvoicebox.interactions.judge import UnsupportedClause
from agentvoicebox.telemetry.tap import PARTS

MOST_OUTPUT = 400  # characters of a tool's answer


def anchor(interaction: Interaction) -> str:
    """The id of the call's section. Several requests of one call differ by when they began."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{interaction.scenario or interaction.call_id}")
    return f"call-{plain}-{round(interaction.began_s * 1000)}"


def call_html(review: CallReview, sound: CallSound | None) -> str:
    """The call's section.

    Args:
        review: of the call.
        sound: its audio; None if it was not recorded.
    """
    call, name = review.interaction, anchor(review.interaction)
    title = escape(call.scenario or call.call_id or "without an id")
    reasons = "; ".join(review.reasons) or f"nothing against it; its slowest answer took {review.slowest_ms:.0f} ms"
    about = " · ".join(each for each in (call.timestamp, call.channel, call.agent, review.outcome) if each)
    return (
        f'<section class=call id="{name}" aria-labelledby="{name}-title">'
        f'<h3 id="{name}-title"><a href="#{name}">{title}</a></h3>'
        f"<p class=faint>{escape(about)} · <code>{escape(call.call_id)}</code></p>"
        f"<p class={'bad' if review.weight else 'none'}>{escape(reasons)}</p>"
        f"{_sound(sound, title)}{_talk(review)}{_waits(call)}</section>"
    )


def _sound(sound: CallSound | None, title: str) -> str:
    if sound is None:
        return "<p class=faint>No audio of it was recorded.</p>"
    if not sound.url:
        return f"<p class=faint>{escape(sound.note)}</p>"
    return f'<audio controls preload=none src="{sound.url}" aria-label="Audio of {title}: caller left, agent right"></audio>'


def _talk(review: CallReview) -> str:
    call = review.interaction
    rows: list[str] = []
    notes = [*review.unsupported, *review.promises]
    for index, line in enumerate(call.transcript):
        rows += [_tool(use) for use in call.tool_calls if use.line == index]
        own = [each for each in notes if each.line == index]
        rows.append(_line(line, own, is_refusal=index in (review.refusals or ())))
    rows += [_tool(use) for use in call.tool_calls if use.line >= len(call.transcript)]
    without = [each.reason for each in notes if each.line < 0]
    reasons = f"<p class=why>{escape('; '.join(without))}</p>" if without else ""
    return f"{reasons}<ol class=talk>{''.join(rows)}</ol>" if rows else reasons


def _line(line: Line, notes: Sequence[UnsupportedClause], *, is_refusal: bool) -> str:
    if not line.text:
        words = f"<span class=faint>{line.words} words, not recorded</span>"
    else:
        words = escape(line.text)
        for note in notes:
            clause = escape(note.clause)
            words = words.replace(clause, f"<mark>{clause}</mark>", 1)
    why = "".join(f"<span class=why>{escape(note.reason)}</span>" for note in notes)
    more = [
        each
        for each, is_so in (("typed", line.is_typed), ("interrupted", line.is_cut), ("declines", is_refusal))
        if is_so
    ]
    aside = f" <span class=faint>({', '.join(more)})</span>" if more else ""
    return (
        f"<li class={line.role}><time>{_clock(line.at_s)}</time><span class=faint>{line.role}</span>"
        f"<span class=words>{words}{aside}{why}</span></li>"
    )


def _tool(use: ToolUse) -> str:
    took = "" if use.took_ms is None else f" ({use.took_ms:.0f} ms)"
    output = use.output if len(use.output) <= MOST_OUTPUT else use.output[:MOST_OUTPUT] + " …"
    said = escape(f"{use.name or 'tool'} {use.arguments} → {use.code or 'no code'}{took}")
    words = f"<details><summary>{said}</summary>{escape(output)}</details>" if output else f"<span>{said}</span>"
    return f"<li class=tool><span></span><span class=faint>tool</span><div class=words>{words}</div></li>"


def _clock(at_s: float) -> str:
    minutes, seconds = divmod(at_s, 60)
    return f"{int(minutes)}:{seconds:04.1f}"


def _waits(call: Interaction) -> str:
    """The waterfall of the call's answers."""
    title = "Where the time of each answer went"
    if not call.waits:
        return ""
    rows = [
        (f"answer {number}", [(part, ms) for part, ms in _ordered(wait) if ms > 0], wait.total_ms)
        for number, wait in enumerate(call.waits, start=1)
    ]
    names = [part for part in (*PARTS, "webhook") if any(part == name for _, parts, _ in rows for name, _ in parts)]
    names += sorted({name for _, parts, _ in rows for name, _ in parts} - set(names))
    table = tuple(
        (name, *(f"{dict(parts).get(part, 0.0):.0f}" for part in names), f"{whole:.0f}") for name, parts, whole in rows
    )
    legend = "".join(
        f'<li><i style="background:{LOOKS[part][0] if part in LOOKS else "var(--now)"}"></i>{escape(part)}</li>'
        for part in names
    )
    figure = ReportFigure(title=title, svg=waterfall(title, rows), head=("ms", *names, "whole"), rows=table).html()
    return figure.replace("</figure>", f"<ul class=legend aria-label=Parts>{legend}</ul></figure>", 1)


def _ordered(wait: Wait) -> list[tuple[str, float]]:
    """The parts in the order in which they happen."""
    order = {part: number for number, part in enumerate(PARTS)}
    return sorted(wait.parts_ms.items(), key=lambda part: order.get(part[0], len(order)))
